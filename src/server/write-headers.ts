import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { WireCurrentFile } from '../api/schemas.js';
import type { Author, ChangeKind, Tags, WriteCondition } from '../dataset/dataset.js';
import { ServiceError } from '../dataset/errors.js';
import type { CurrentFile } from '../dataset/upload-transitions.js';

/** Strong: the same for the same bytes. */
export function etagOf({ sha256 }: { readonly sha256: string }): string {
  return `"${sha256}"`;
}

export function currentToWire(current: CurrentFile | undefined): WireCurrentFile | null {
  return current === undefined ? null : { etag: etagOf(current), size_bytes: current.sizeBytes };
}

/** From `If-Match` and `If-None-Match` (RFC 9110, section 13.1). @throws ServiceError `invalid_field` */
export function conditionOf(headers: IncomingHttpHeaders): WriteCondition | undefined {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return {
    // A weak tag does not promise the same bytes.
    ...(ifMatch !== undefined && { ifMatch: tagsOf('If-Match', ifMatch, { acceptsWeak: false }) }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: tagsOf('If-None-Match', ifNoneMatch, { acceptsWeak: true }) }),
  };
}

/** A body could have millions, which would take a second to read, and be stored with the uploads. */
const MAX_ETAGS_LENGTH = 1000;
const MAX_ETAGS = 10;

/** Null: there must be no file. @param path names the field in the error. @throws ServiceError `invalid_field` */
export function expectedConditionOf(etag: unknown, path: string): WriteCondition {
  if (etag === null) return { ifNoneMatch: '*' };
  if (typeof etag !== 'string' || etag.length > MAX_ETAGS_LENGTH) throw malformedTags(path);
  return { ifMatch: tagsOf(path, etag, { acceptsWeak: false, maxTags: MAX_ETAGS }) };
}

/** @param hasName whether the request has a file. @param namesIn names its field in errors. @throws ServiceError `invalid_field` */
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

export function invalidField(path: string, message: string): ServiceError {
  return new ServiceError('invalid_field', `The request is not valid. ${path}: ${message}`, {
    detail: [{ path, message }],
  });
}

/** See `CHANGE` of `api/routes.ts`. */
const CHANGE = /^(edit|bulk|push|upload) *; *([A-Za-z0-9-]{1,64})$/;

/** The token, and its change. @param how applies if the request names none. @throws ServiceError `invalid_field` */
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
  // They are never part of another change.
  if (how === 'restore' || how === 'undo') return { ...token, how, changeId: null };
  return { ...token, how: given as ChangeKind, changeId };
}
