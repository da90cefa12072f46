import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import type { WireDelivery, WireNewWebhook } from '../../../src/api/webhook-schemas.js';
import { eventually, serverUntil } from '../../harness/server.js';

const pathOf = (name: string) => new URL(`../../fixtures/certificates/${name}.pem`, import.meta.url).pathname;
const pem = (name: string) => readFileSync(pathOf(name));

const env = { NODE_EXTRA_CA_CERTS: pathOf('authority') };
const server = await serverUntil(afterAll, { 'webhook-allow': '127.0.0.1' }, { env });

/** Starts a receiver that speaks TLS. @returns its URL */
async function startSecure(cert: string, options: ServerOptions = {}): Promise<string> {
  const receiver = createServer({ key: pem('key'), cert: pem(cert), ...options }, (request, response) => {
    request.resume().on('end', () => response.writeHead(204).end());
  });
  await once(receiver.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(async () => {
    receiver.closeAllConnections();
    receiver.close();
    await once(receiver, 'close');
  });
  return `https://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
}

const NEEDS_CLIENT_CERTIFICATE = { requestCert: true, rejectUnauthorized: true, ca: pem('authority') };

test('the deliveries say what is wrong with the certificate or the TLS of a receiver; one of an added authority is valid', async () => {
  const api = await server.api();
  const outcomeAt = async (url: string) => {
    const { body: webhook } = await api.json<WireNewWebhook>('POST', '/webhooks', { url });
    await api.request('POST', `/webhooks/${webhook.id}/test`);
    const deliveries = `/webhooks/${webhook.id}/deliveries`;
    const tried = await eventually(async () => {
      const { body } = await api.request<{ deliveries: WireDelivery[] }>('GET', deliveries);
      return body.deliveries.find(({ attempts }) => attempts > 0);
    });
    return tried.error ?? tried.answer;
  };
  expect(await outcomeAt(await startSecure('valid'))).toBe(204);
  expect(await outcomeAt(await startSecure('expired'))).toMatch(/has expired\. Renew it\.$/);
  expect(await outcomeAt(await startSecure('not-yet-valid'))).toMatch(/is not valid yet\. Compare its dates/);
  expect(await outcomeAt(await startSecure('of-another-name'))).toMatch(/is for another name\. Use a URL/);
  expect(await outcomeAt(await startSecure('self-signed'))).toMatch(/not signed by a known authority\. Send all/);
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const url = await startSecure('valid', { ...NEEDS_CLIENT_CERTIFICATE, maxVersion });
    expect(await outcomeAt(url)).toMatch(/rejected the TLS connection with alert \d+\. It must accept .* without a/);
  }
});
