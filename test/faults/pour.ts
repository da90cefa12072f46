import { BASE_PATH } from '../../src/api/limits.js';
import type { Api } from '../harness/api.js';
import { eventually } from '../harness/server.js';
import { captionPieces } from './contents.js';
import { directHead, formOf, headOf, type RawAnswer, RawClient } from './raw-client.js';

type Poured = RawAnswer & {
  /** Bytes that the kernels of both sides accepted. */
  readonly bytesSent: number;
};

/** A direct upload of a caption of so many bytes, given its filename or its form. */
export function pourDirect(
  api: Api,
  id: string,
  form: string | ReturnType<typeof formOf>,
  { bytes, isChunked = false }: { bytes: number; isChunked?: boolean },
): Promise<Poured> {
  const { head, tail } = typeof form === 'string' ? formOf(form) : form;
  const wrapped = (piece: Uint8Array) => (isChunked ? chunkOf(piece) : piece);
  const whole = function* () {
    yield wrapped(Buffer.from(head));
    for (const piece of captionPieces(bytes)) yield wrapped(piece);
    yield wrapped(Buffer.from(tail));
    if (isChunked) yield Buffer.from('0\r\n\r\n');
  };
  const length = { 'Content-Length': bytes + head.length + tail.length };
  return pour(`${api.url}${BASE_PATH}`, directHead(api, id, isChunked ? CHUNKED : length), whole());
}

/** A PUT of a caption of so many bytes. */
export function pourLink(url: string, bytes: number): Promise<Poured> {
  return pour(url, headOf('PUT', new URL(url), { 'Content-Length': bytes }), captionPieces(bytes));
}

const CHUNKED = { 'Transfer-Encoding': 'chunked' };

function chunkOf(piece: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);
}

/** Sends pieces until the answer arrives, and then stops, as curl does. */
async function pour(url: string, head: string, pieces: Iterable<Uint8Array>): Promise<Poured> {
  const client = await RawClient.open(url);
  await client.send(head);
  let answer: RawAnswer | undefined;
  const answered = eventually(() => client.answer()).then((found) => {
    answer = found;
    return found;
  });
  let bytesSent = 0;
  for (const piece of pieces) {
    if (answer !== undefined || (await Promise.race([client.send(piece), answered])) !== true) break;
    bytesSent += piece.length;
  }
  const { status, body } = await answered;
  await client.hangUp();
  return { status, body, bytesSent };
}
