import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WireNewToken } from '../../src/api/account-schemas.js';
import type { WireDelivery, WireNewWebhook, WireWebhook } from '../../src/api/webhook-schemas.js';
import * as media from '../fixtures/media.js';
import { Api } from '../harness/api.js';
import { metricsOf } from '../harness/metrics.js';
import { isSigned, type Receiver, startReceiver } from '../harness/receiver.js';
import { eventually } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
let receiver: Receiver;
let api: Api;
let accounts = 0;
beforeEach(async () => {
  receiver = await startReceiver();
  api = await server.api(`account ${++accounts}`);
});
afterEach(() => receiver.close());

const add = (body: object = { url: receiver.url }) => api.json<WireNewWebhook>('POST', '/webhooks', body);
const sendTest = ({ id }: { id: string }) => api.request<WireDelivery>('POST', `/webhooks/${id}/test`);
const webhooks = async () => (await api.request<{ webhooks: WireWebhook[] }>('GET', '/webhooks')).body.webhooks;
const deliveriesOf = async ({ id }: { id: string }) =>
  (await api.request<{ deliveries: WireDelivery[] }>('GET', `/webhooks/${id}/deliveries`)).body.deliveries;
const delivered = (count: number) =>
  eventually(() => (receiver.received.length >= count ? receiver.events() : undefined));

test('a webhook receives READY, READY with other files, FAILED and the deletion, signed, in order', async () => {
  const { body: webhook } = await add();
  const id = await api.newDataset('wagons');
  // An image without its caption would be FAILED, and may be announced.
  const caption = 'a red wagon';
  const link = await api.link(id, 'a.txt', caption.length);
  await api.upload(id, 'a.jpg', await media.jpeg());
  expect((await fetch(link, { method: 'PUT', body: caption })).status).toBe(200);
  await delivered(1);
  const { digest } = (await api.status(id)).body;
  await api.upload(id, 'a.txt', 'a blue wagon');
  await delivered(2);
  // The dataset is UPLOADING until the last of twelve.
  const last = await api.link(id, 'b.jpg', 13);
  for (let i = 0; i < 11; i++) await api.upload(id, `b${i}.jpg`, 'not a picture');
  expect((await fetch(last, { method: 'PUT', body: 'not a picture' })).status).toBe(422);
  await delivered(3);
  await api.json('PATCH', `/${id}`, { name: 'renamed wagons' });
  await api.request('DELETE', `/${id}`);
  const events = await delivered(4);
  expect(events.map(({ type }) => type)).toEqual([
    ...['dataset.ready', 'dataset.ready', 'dataset.failed', 'dataset.deleted'],
  ]);
  const [ready, changed, failed, deleted] = events.map(({ data }) => data);
  const counts = { images: 1, videos: 0, captions: 1, uncaptioned: 0, unpaired: 0, pending: 0, checking: 0 };
  expect(ready).toMatchObject({ id, name: 'wagons', status: 'READY', digest, revision: expect.any(Number) });
  expect(ready?.counts).toEqual({ ...counts, rejected: 0 });
  expect(changed?.digest).not.toBe(digest);
  expect(failed).toMatchObject({ id, status: 'FAILED', counts: { rejected: 12 } });
  const problem = { filename: expect.stringMatching(/^b\d*\.jpg$/), code: expect.any(String) };
  expect(failed?.error).toMatchObject({ problems: Array(10).fill(problem) });
  expect(deleted).toEqual({ id, name: 'renamed wagons' });
  for (const request of receiver.received) {
    expect(request).toMatchObject({ method: 'POST', path: '/hook', headers: { 'content-type': 'application/json' } });
    expect(isSigned(request, webhook.secret)).toBe(true);
  }
  const times = events.map(({ timestamp }) => Date.parse(timestamp));
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  const deliveries = await eventually(async () => {
    const found = await deliveriesOf(webhook);
    return found.every(({ state }) => state === 'delivered') ? found : undefined;
  });
  expect(deliveries.map((each) => [each.id, each.answer, each.attempts, each.error])).toEqual(
    receiver.received.map(({ headers }) => [headers['webhook-id'], 204, 1, null]).reverse(),
  );
});

test('a webhook receives only the events it is for, and nothing that was so before it was made', async () => {
  const before = await api.newDataset('failed before');
  await api.upload(before, 'a.jpg', await media.jpeg());
  expect((await api.status(before)).body.status).toBe('FAILED');
  await add({ url: receiver.url, events: ['dataset.deleted', 'dataset.ready'] });
  const failing = await api.newDataset('fails after');
  await api.upload(failing, 'a.jpg', await media.jpeg());
  await api.upload(before, 'a.txt', 'a caption');
  await delivered(1);
  await api.request('DELETE', `/${failing}`);
  expect((await delivered(2)).map(({ type, data }) => [type, data.name])).toEqual([
    ['dataset.ready', 'failed before'],
    ['dataset.deleted', 'fails after'],
  ]);
});

test('a delivery that failed can be sent again; an answer of 410 disables the webhook until it is enabled', async () => {
  const { body: webhook } = await add();
  let inFlight = '';
  receiver.answer = async (response) => {
    inFlight = await metricsOf(server);
    response.writeHead(500).end();
  };
  const { body: sent } = await sendTest(webhook);
  expect(sent).toMatchObject({ event: 'webhook.test', state: 'waiting', attempts: 0, dataset_id: null });
  const [failed] = await eventually(async () => {
    const found = await deliveriesOf(webhook);
    return found[0]?.attempts === 1 ? found : undefined;
  });
  expect(failed).toMatchObject({ id: sent.id, state: 'waiting', answer: 500, error: 'The receiver answered 500.' });
  expect(String(failed?.next_attempt_at) > String(failed?.attempted_at)).toBe(true);
  receiver.answer = (response) => response.writeHead(410).end();
  const path = `/webhooks/${webhook.id}/deliveries`;
  expect((await api.request('POST', `${path}/none/resend`)).body.error_code).toBe(404009);
  const { body: again } = await api.request('POST', `${path}/${sent.id}/resend`);
  expect(again).toMatchObject({ id: sent.id, state: 'waiting', attempts: 0 });
  await eventually(async () => ((await webhooks())[0]?.enabled ? undefined : true));
  expect((await deliveriesOf(webhook))[0]).toMatchObject({ state: 'failed', answer: 410 });
  receiver.answer = (response) => response.writeHead(204).end();
  await sendTest(webhook);
  const change = { enabled: true, url: `${receiver.url}/new` };
  expect((await api.json('PATCH', `/webhooks/${webhook.id}`, change)).body).toMatchObject(change);
  await delivered(3);
  expect(receiver.received.map((each) => each.path)).toEqual(['/hook', '/hook', '/hook/new']);
  expect(inFlight).toMatch(/^trainyard_webhooks_in_flight [1-9]/m);
  for (const outcome of ['retried', 'failed', 'delivered'])
    await expect.poll(() => metricsOf(server)).toMatch(new RegExp(`attempts_total\\{outcome="${outcome}"\\} [1-9]`));
});

test('webhooks are at most ten, and listed without secrets, or the path of their URLs for a token that only reads', async () => {
  const dataset = await api.newDataset('bound to');
  const urls = ['https://hooks.example:8443/T0/secret?key=1', 'https://queue.example/'];
  for (const url of urls) expect((await add({ url })).body.url).toBe(url);
  const listedBy = async (rights: object) => {
    const { secret } = (await api.json<WireNewToken>('POST', '/tokens', rights)).body;
    return new Api(server.url, secret).request<{ webhooks: WireWebhook[] }>('GET', '/webhooks');
  };
  expect((await webhooks()).map(({ url }) => url).sort()).toEqual(urls);
  expect(JSON.stringify(await webhooks())).not.toContain('whsec_');
  const readOnly = (await listedBy({ read_only: true })).body.webhooks;
  expect(readOnly.map(({ url }) => url).sort()).toEqual(['https://hooks.example:8443/…', 'https://queue.example/']);
  expect((await listedBy({ datasets: [dataset] })).status).toBe(403);
  const { body: ended } = await add();
  const deleted = { id: ended.id, deleted: true };
  expect((await api.request('DELETE', `/webhooks/${ended.id}`)).body).toEqual(deleted);
  const made = await Promise.all(Array.from({ length: 10 }, () => add()));
  expect(made.map(({ status }) => status).sort()).toEqual([...Array(8).fill(200), 507, 507]);
});

test.each([
  ['ftp://queue.example/hook'],
  ['https://user:password@queue.example/'],
  ['https://10.0.0.1/hook'],
  ['queue'],
  // A character that is sent as six makes more than 2,000 of them.
  [`https://queue.example/${'é'.repeat(329)}abcde`],
])('a webhook does not lead to %s, also after a change', async (url) => {
  const { body: webhook } = await add();
  for (const { status, body } of [await add({ url }), await api.json('PATCH', `/webhooks/${webhook.id}`, { url })])
    expect([status, body.detail?.[0]?.path]).toEqual([422, 'url']);
});
