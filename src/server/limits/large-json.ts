import { ITEMS_PER_PIECE, type Pieces } from '../../pieces.js';

/** The JSON text of an object in UTF-8, of which long lists are written in pieces. */
export async function largeJsonOf(object: object, { pause }: Pieces): Promise<Buffer> {
  const fields: Buffer[] = [];
  for (const [name, value] of Object.entries(object)) {
    if (value === undefined) continue;
    const begin = `${fields.length === 0 ? '{' : ','}${JSON.stringify(name)}:`;
    if (!Array.isArray(value) || value.length <= ITEMS_PER_PIECE) {
      fields.push(Buffer.from(begin + JSON.stringify(value)));
      continue;
    }
    fields.push(Buffer.from(begin));
    for (let from = 0; from < value.length; from += ITEMS_PER_PIECE) {
      const elements = JSON.stringify(value.slice(from, from + ITEMS_PER_PIECE)).slice(1, -1);
      fields.push(Buffer.from(`${from === 0 ? '[' : ','}${elements}`));
      await pause();
    }
    fields.push(Buffer.from(']'));
  }
  fields.push(Buffer.from(fields.length === 0 ? '{}' : '}'));
  return Buffer.concat(fields);
}
