import { createHmac, randomBytes } from 'node:crypto';

/*
 * The signature scheme of Standard Webhooks, for which there are libraries in many languages:
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */

const PREFIX = 'whsec_';

/** The specification asks for 24 to 64 bytes. */
const KEY_BYTES = 32;

export function newWebhookSecret(): string {
  return `${PREFIX}${randomBytes(KEY_BYTES).toString('base64')}`;
}

/** The headers that identify and sign a delivery. @param timestamp in seconds since 1970 */
export function signedHeaders(
  { id, payload }: { readonly id: string; readonly payload: string },
  { secret, timestamp }: { secret: string; timestamp: number },
): Record<string, string> {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${payload}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': `v1,${signature}` };
}
