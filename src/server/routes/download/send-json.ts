/** Sends an answer whose JSON is text or a stream already. The type of a route's answer has neither. */
export function sendJson(
  reply: { type(type: string): { send(body: never): unknown } },
  json: Buffer | NodeJS.ReadableStream,
): never {
  return reply.type('application/json; charset=utf-8').send(json as never) as never;
}
