import { ITEMS_PER_PIECE, type Pieces } from '../../pieces.js';

/** The JSON text of an object in UTF-8, of which long lists are written in pieces. */
export async function largeJsonOf(object: object, { pause }: Pieces): Promise<Buffer> {
  const fields: Buffer[] = [];
  for (const [name, value] of Object.entries(object)) {
    if (value === undefined) continue;
    const begin = `${fields.length === 0 ? '{' : ','}${JSON.stringify(name)}:`;
    if (!Array.isArray(value)) {
      fields.push(Buffer.from(begin + JSON.stringify(value)));
      continue;
    }
    fields.push(Buffer.from(`${begin}[${textWithin(value.slice(0, ITEMS_PER_PIECE))}`));
    for (let from = ITEMS_PER_PIECE; from < value.length; from += ITEMS_PER_PIECE) {
      await pause();
      fields.push(Buffer.from(`,${textWithin(value.slice(from, from + ITEMS_PER_PIECE))}`));
    }
    fields.push(Buffer.from(']'));
  }
  fields.push(Buffer.from(fields.length === 0 ? '{}' : '}'));
  return Buffer.concat(fields);
}

/** The JSON text of an object with one field, an object whose parts are made one after the other; none is empty. */
export async function jsonOfParts(name: string, parts: AsyncIterable<object>): Promise<Buffer> {
  const texts = [Buffer.from(`{${JSON.stringify(name)}:{`)];
  for await (const part of parts) texts.push(Buffer.from(`${texts.length === 1 ? '' : ','}${textWithin(part)}`));
  return Buffer.concat([...texts, Buffer.from('}}')]);
}

/** Without the brackets around it. */
function textWithin(value: object): string {
  return JSON.stringify(value).slice(1, -1);
}

/** Sends an answer whose JSON is text or a stream already. The type of a route's answer has neither. */
export function sendJson(
  reply: { type(type: string): { send(body: never): unknown } },
  json: Buffer | NodeJS.ReadableStream,
): never {
  return reply.type('application/json; charset=utf-8').send(json as never) as never;
}
