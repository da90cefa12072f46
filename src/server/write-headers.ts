import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { WireCurrentFile } from '../api/schemas.js';
import type { Author, ChangeKind, Tags, WriteCondition } from '../dataset/dataset.js';
import { ServiceError } from '../dataset/errors.js';
import type { CurrentFile } from '../dataset/write-condition.js';

/** The entity tag of a file: strong, and the same for the same bytes. */
export function etagOf({ sha256 }: { readonly sha256: string }): string {
  return `"${sha256}"`;
}

/** The file under the name of a write whose condition was not met. */
export function currentToWire(current: CurrentFile | undefined): WireCurrentFile | null {
  return current === undefined ? null : { etag: etagOf(current), size_bytes: current.sizeBytes };
}

/**
 * The condition that a request sets for its write with `If-Match` and `If-None-Match` (RFC 9110, section 13.1); `undefined`
 * without these headers.
 *
 * @throws ServiceError `invalid_field`
 */
export function conditionOf(headers: IncomingHttpHeaders): WriteCondition | undefined {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return {
    // `If-Match` needs the same bytes, which a weak tag does not promise.
    ...(ifMatch !== undefined && { ifMatch: tagsOf('If-Match', ifMatch, { acceptsWeak: false }) }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: tagsOf('If-None-Match', ifNoneMatch, { acceptsWeak: true }) }),
  };
}

/** A list of a few ETags. A body could have millions, which would take a second to read, and be stored with the uploads. */
const MAX_ETAGS_LENGTH = 1000;
const MAX_ETAGS = 10;

/**
 * The condition of a write that replaces a file with this ETag, or adds a file if the ETag is null.
 *
 * @param path names the field in the error
 * @throws ServiceError `invalid_field`
 */
export function expectedConditionOf(etag: unknown, path: string): WriteCondition {
  if (etag === null) return { ifNoneMatch: '*' };
  if (typeof etag !== 'string' || etag.length > MAX_ETAGS_LENGTH) throw malformedTags(path);
  return { ifMatch: tagsOf(path, etag, { acceptsWeak: false, maxTags: MAX_ETAGS }) };
}

/**
 * The conditions in the `ifMatch` of a request for several files, by filename.
 *
 * @param hasName whether the request is for a file
 * @param namesIn names the field with the files in the error
 * @throws ServiceError `invalid_field`
 */
export function expectedConditionsOf(
  ifMatch: Readonly<Record<string, unknown>> = {},
  { hasName, namesIn }: { hasName: (filename: string) => boolean; namesIn: string },
): Map<string, WriteCondition> {
  const conditions = new Map<string, WriteCondition>();
  for (const [filename, etag] of Object.entries(ifMatch)) {
    const path = `ifMatch.${filename}`;
    if (!hasName(filename)) throw invalidField(path, `names a file that is not in ${namesIn}`);
    conditions.set(filename, expectedConditionOf(etag, path));
  }
  return conditions;
}

/** One entity tag of a list, and the comma after it. */
const LISTED_TAG = /\s*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)/y;

function tagsOf(
  path: string,
  value: string,
  { acceptsWeak, maxTags = Number.POSITIVE_INFINITY }: { acceptsWeak: boolean; maxTags?: number },
): Tags {
  if (value.trim() === '*') return '*';
  const tags: string[] = [];
  LISTED_TAG.lastIndex = 0;
  for (let count = 1; ; count++) {
    const [, weak, tag = ''] = LISTED_TAG.exec(value) ?? [];
    if (LISTED_TAG.lastIndex === 0 || count > maxTags) throw malformedTags(path);
    if (weak === undefined || acceptsWeak) tags.push(tag);
    if (LISTED_TAG.lastIndex >= value.length) return tags;
  }
}

function malformedTags(path: string): ServiceError {
  return invalidField(path, 'must be * or an ETag in quotation marks, as answers have it');
}

/** An error of one field of a request. */
export function invalidField(path: string, message: string): ServiceError {
  return new ServiceError('invalid_field', `The request is not valid. ${path}: ${message}`, {
    detail: [{ path, message }],
  });
}

/** As `CHANGE` of `api/routes.ts` describes it. */
const CHANGE = /^(edit|bulk|push|upload) *; *([A-Za-z0-9-]{1,64})$/;

/**
 * The author of what a request changes: its token, and the change that it belongs to.
 *
 * @param how the kind of change if the request names none
 * @throws ServiceError `invalid_field`
 */
export function authorOf({ grant, headers }: Pick<FastifyRequest, 'grant' | 'headers'>, how: ChangeKind): Author {
  const token = { tokenId: grant?.tokenId ?? null, tokenName: grant?.tokenName ?? null };
  const header = headers['trainyard-change'];
  if (header === undefined) return { ...token, how, changeId: null };
  const [, given, changeId] = CHANGE.exec(String(header).trim()) ?? [];
  if (given === undefined || changeId === undefined) {
    const message =
      'must be edit, bulk, push or upload, a semicolon, and an id of 1 to 64 letters, digits and hyphens, such as "push; 3f2a"';
    throw invalidField('Trainyard-Change', message);
  }
  // A restore or an undo is a change of its own.
  if (how === 'restore' || how === 'undo') return { ...token, how, changeId: null };
  return { ...token, how: given as ChangeKind, changeId };
}
