import { ServiceError } from '../../../dataset/errors.js';
import { BackendUnusable } from '../../backend-unusable.js';
import type { S3Location } from './location.js';

/** Incomplete, since responses to HEAD have no body and stores differ in names. */
const TRANSIENT_NAMES = [
  'TimeoutError',
  'RequestTimeout',
  'OperationAborted',
  'ConditionalRequestConflict',
  // The clock of this machine was set. The SDK has corrected its own by the time of the answer.
  'RequestTimeTooSkewed',
  // The bytes were changed or cut short on their way.
  'BadDigest',
  'IncompleteBody',
  'XAmzContentSHA256Mismatch',
];

/** Errors of the SDK that have no status. */
const OF_STORE = ['TimeoutError', 'AbortError', 'CredentialsProviderError'];

/** Codes of the system, its resolver and broken streams; a wrong certificate or protocol stays wrong. */
const TRANSIENT_CODE = /^(E(?!RR_|PROTO)[A-Z_]+|ERR_STREAM_PREMATURE_CLOSE)$/;

export function statusOfError(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  return (error.$metadata as { httpStatusCode?: number }).httpStatusCode;
}

function hasName(error: unknown, names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name);
}

/** True if the object of a GET does not exist. A 404 without this name comes from a proxy or a load balancer. */
export function isMissing(error: unknown): boolean {
  return hasName(error, ['NoSuchKey']);
}

/** True if a condition such as `If-None-Match` was not met. */
export function isPreconditionFailed(error: unknown): boolean {
  return statusOfError(error) === 412;
}

/** True for a GET of an object that its client has encrypted with a key of its own. */
export function isRefusedRead(error: unknown): error is Error {
  return statusOfError(error) === 400 && hasName(error, ['InvalidRequest', 'InvalidArgument']);
}

export function isTransient(error: unknown): boolean {
  const status = statusOfError(error);
  return (
    hasName(error, TRANSIENT_NAMES) ||
    (error instanceof Error && 'code' in error && TRANSIENT_CODE.test(String(error.code))) ||
    status === 429 ||
    (status !== undefined && status >= 500 && status !== 501)
  );
}

/** The answer for an error of the store or of the connection; a bug of ours is returned unchanged. */
export function storeError(error: unknown): unknown {
  if (error instanceof ServiceError || !(error instanceof Error)) return error;
  if (hasName(error, ['QuotaExceeded'])) {
    return new ServiceError('no_space', 'The store has no space left for this file. Free some and try again.', {
      cause: error,
    });
  }
  // Node's errors of networks and TLS have a code, and so have some for wrong arguments.
  const isOfConnection = 'code' in error && !(error instanceof TypeError || error instanceof RangeError);
  const isOfStore = statusOfError(error) !== undefined || hasName(error, OF_STORE);
  return isOfStore || isOfConnection ? unavailable(error) : error;
}

function unavailable(cause: Error): ServiceError {
  return new ServiceError('unavailable', 'The file store does not answer right now. Try again.', { cause });
}

/** For a successful answer that a store would not give, such as a proxy's login page. */
export function notOfStore(what: string): ServiceError {
  return unavailable(new Error(`The answer to the ${what} is not that of an S3 store.`));
}

/** Explains to the operator why a store can't be used. @param permission the S3 action that failed */
export function startError(thrown: unknown, { bucket, endpoint }: S3Location, permission: string): BackendUnusable {
  const error = thrown instanceof ServiceError ? thrown.cause : thrown;
  const status = statusOfError(error);
  const where = endpoint === undefined ? '' : ` at ${endpoint}`;
  const reason = error instanceof Error ? error.message || error.name : String(error);
  const unusable = (message: string, isTemporary = false) =>
    new BackendUnusable(message, { cause: error, isTemporary });
  if (hasName(error, ['NoSuchBucket']) || status === 404) {
    return unusable(`there is no bucket "${bucket}"${where}. Create it, or correct BLOBS_URL.`);
  }
  if (hasName(error, ['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken'])) {
    return unusable(`the store${where} does not accept the credentials (${error instanceof Error ? error.name : ''}).`);
  }
  if (hasName(error, ['CredentialsProviderError'])) {
    return unusable(`there are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (${reason}).`);
  }
  if (status === 403) {
    const advice = 'Grant this permission, or correct the access key and its secret.';
    return unusable(`the credentials may not ${permission} on the bucket "${bucket}"${where}. ${advice}`);
  }
  if (status === 301 || hasName(error, ['PermanentRedirect', 'AuthorizationHeaderMalformed'])) {
    return unusable(`the bucket "${bucket}" is in another region (${reason}). Set region= in BLOBS_URL.`);
  }
  if (/region is missing/i.test(reason)) return unusable('the region of S3 is not known. Set region= in BLOBS_URL.');
  if (isTransient(error)) {
    // The answer to a HEAD has no body that names the error.
    const failure = status !== undefined && status >= 500 ? `fails with ${status}` : `does not answer (${reason})`;
    return unusable(`the file store${where} ${failure}.`, true);
  }
  return unusable(`the bucket "${bucket}"${where} can't be used: ${reason} (during ${permission}).`);
}
