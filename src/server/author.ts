import type { FastifyRequest } from 'fastify';
import type { Author, ChangeKind } from '../dataset/dataset.js';
import { ServiceError } from '../dataset/errors.js';

/** As `changeHeaders` of `api/request-schemas.ts` describes it. */
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
    throw new ServiceError('invalid_field', `The request is not valid. Trainyard-Change: ${message}`, {
      detail: [{ path: 'Trainyard-Change', message }],
    });
  }
  // A restore or an undo is a change of its own.
  if (how === 'restore' || how === 'undo') return { ...token, how, changeId: null };
  return { ...token, how: given as ChangeKind, changeId };
}
