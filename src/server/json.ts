import { ServiceError } from '../dataset/errors.js';

/**
 * The JSON of a body; `undefined` for an empty one, whatever type it declares. No declared type is taken for JSON.
 *
 * @throws ServiceError `unsupported_body`, `malformed_body`
 */
export function parseJsonBody(contentType: string | undefined, body: Buffer): unknown {
  if (body.length === 0) return undefined;
  if (contentType !== undefined && !/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(contentType)) {
    throw new ServiceError('unsupported_body', `The body must be application/json, not ${contentType}.`);
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'it is not UTF-8';
    throw new ServiceError('malformed_body', `The body is not valid JSON: ${reason}`, { cause: error });
  }
}
