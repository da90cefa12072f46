/**
 * Replaces NUL, which text in Postgres can't hold (https://www.postgresql.org/docs/current/datatype-character.html), and at
 * which the SQLite driver cuts a text off. No stored name has a control character, so a search with another control character
 * finds nothing either.
 */
export function withoutNul(value: unknown): unknown {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\u0001') : value;
}
