import { hasErrno, ServiceError } from '../../../dataset/errors.js';
import { BackendUnusable } from '../../backend-unusable.js';
import type { S3Location } from './location.js';

/** Names of errors, by the SDK and by stores, that say the store has not got what was asked for. */
const MISSING = ['NoSuchKey', 'NotFound'];

/** Not all have a name of their own: answers to HEAD have no body, and other stores have other names. */
const TRANSIENT_NAMES = [
  'TimeoutError',
  'SlowDown',
  'RequestTimeout',
  'OperationAborted',
  'ConditionalRequestConflict',
];
const TRANSIENT_ERRNOS = [
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ERR_STREAM_PREMATURE_CLOSE',
];

export function statusOfError(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  return (error.$metadata as { httpStatusCode?: number }).httpStatusCode;
}

function hasName(error: unknown, names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name);
}

/** There is no such object. */
export function isMissing(error: unknown): boolean {
  return hasName(error, MISSING) || (statusOfError(error) === 404 && !hasName(error, ['NoSuchBucket', 'NoSuchUpload']));
}

/** A condition of the request, such as `If-None-Match`, did not hold. */
export function isPreconditionFailed(error: unknown): boolean {
  return statusOfError(error) === 412;
}

/** May well succeed when it is tried again. */
export function isTransient(error: unknown): boolean {
  const status = statusOfError(error);
  return (
    hasName(error, TRANSIENT_NAMES) ||
    hasErrno(error, ...TRANSIENT_ERRNOS) ||
    status === 429 ||
    (status !== undefined && status >= 500 && status !== 501)
  );
}

/** What an error of the store means to somebody who asked for something. Those that mean a fault of ours stay as they are. */
export function storeError(error: unknown): unknown {
  if (error instanceof ServiceError) return error;
  if (hasName(error, ['QuotaExceeded'])) {
    return new ServiceError('no_space', 'The store has no space left for this file. Free some and try again.', {
      cause: error,
    });
  }
  // A bucket that has gone, or credentials that have run out, are for the operator to mend; the log has the cause.
  const isRefused = hasName(error, ['NoSuchBucket', 'CredentialsProviderError']) || statusOfError(error) === 403;
  if (isTransient(error) || isRefused) {
    return new ServiceError('unavailable', 'The store of files does not answer right now. Try again.', {
      cause: error,
    });
  }
  return error;
}

/**
 * Why a store can't be used at the start, in words for whoever set it up.
 *
 * @param permission the S3 action that was tried
 */
export function startError(error: unknown, { bucket, endpoint }: S3Location, permission: string): BackendUnusable {
  const where = endpoint === undefined ? '' : ` at ${endpoint}`;
  const told = error instanceof Error ? error.message || error.name : String(error);
  const unusable = (message: string, isTemporary = false) =>
    new BackendUnusable(message, { cause: error, isTemporary });
  if (hasName(error, ['NoSuchBucket']) || statusOfError(error) === 404) {
    return unusable(`there is no bucket "${bucket}"${where}. Create it, or correct BLOBS_URL.`);
  }
  if (hasName(error, ['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken'])) {
    return unusable(`the store${where} does not accept the credentials (${error instanceof Error ? error.name : ''}).`);
  }
  if (hasName(error, ['CredentialsProviderError'])) {
    return unusable(`there are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (${told}).`);
  }
  if (statusOfError(error) === 403) {
    const advice = 'Grant it to them, or correct the key and its secret.';
    return unusable(`the credentials may not ${permission} on the bucket "${bucket}"${where}. ${advice}`);
  }
  if (statusOfError(error) === 301 || hasName(error, ['PermanentRedirect', 'AuthorizationHeaderMalformed'])) {
    return unusable(`the bucket "${bucket}" is in another region than was said (${told}). Put region= into BLOBS_URL.`);
  }
  if (/region is missing/i.test(told)) return unusable('the region of S3 is not known. Put region= into BLOBS_URL.');
  if (isTransient(error)) return unusable(`the store of files${where} does not answer (${told}).`, true);
  return unusable(`the bucket "${bucket}"${where} can't be used: ${told} (while trying to ${permission}).`);
}
