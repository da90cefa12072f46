import { ITEMS_PER_PIECE, type Pieces } from '../../pieces.js';

/** The JSON text of an object in UTF-8, of which long lists are written in pieces. A `Map` becomes an object. */
export async function largeJsonOf(object: object, { pause }: Pieces): Promise<Buffer> {
  const fields: Buffer[] = [];
  for (const [name, value] of Object.entries(object)) {
    if (value === undefined) continue;
    const begin = `${fields.length === 0 ? '{' : ','}${JSON.stringify(name)}:`;
    const isList = Array.isArray(value);
    if (!isList && !(value instanceof Map)) {
      fields.push(Buffer.from(begin + JSON.stringify(value)));
      continue;
    }
    const items: readonly unknown[] = isList ? value : [...value];
    const textOf = (some: readonly unknown[]) =>
      JSON.stringify(isList ? some : Object.fromEntries(some as [string, unknown][])).slice(1, -1);
    const [first, last] = isList ? '[]' : '{}';
    fields.push(Buffer.from(`${begin}${first}${textOf(items.slice(0, ITEMS_PER_PIECE))}`));
    for (let from = ITEMS_PER_PIECE; from < items.length; from += ITEMS_PER_PIECE) {
      await pause();
      fields.push(Buffer.from(`,${textOf(items.slice(from, from + ITEMS_PER_PIECE))}`));
    }
    fields.push(Buffer.from(`${last}`));
  }
  fields.push(Buffer.from(fields.length === 0 ? '{}' : '}'));
  return Buffer.concat(fields);
}

/** Sends an answer whose JSON is text or a stream already. The type of a route's answer has neither. */
export function sendJson(
  reply: { type(type: string): { send(body: never): unknown } },
  json: Buffer | NodeJS.ReadableStream,
): never {
  return reply.type('application/json; charset=utf-8').send(json as never) as never;
}
