import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { WireNewToken } from '../../src/api/account-schemas.js';
import type { WireDelivery, WireNewWebhook, WireWebhook } from '../../src/api/webhook-schemas.js';
import * as media from '../fixtures/media.js';
import { Api as Client, type Api } from '../harness/api.js';
import { isSigned, type Receiver, startReceiver } from '../harness/receiver.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let receiver: Receiver;
let api: Api;
let number = 0;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0, 'webhook-allow': '127.0.0.0/8' });
});
afterAll(() => discardServer(server));
beforeEach(async () => {
  receiver = await startReceiver();
  api = await server.api(`account ${number++}`);
});
afterEach(() => receiver.close());

const add = (body: object = { url: receiver.url }) => api.json<WireNewWebhook>('POST', '/webhooks', body);
const deliveriesOf = async ({ id }: { id: string }) =>
  (await api.request<{ deliveries: WireDelivery[] }>('GET', `/webhooks/${id}/deliveries`)).body.deliveries;
const delivered = (count: number) =>
  eventually(() => (receiver.received.length >= count ? receiver.events() : undefined));

describe('a webhook', () => {
  test('receives READY, READY with other files, FAILED and the deletion, signed, in order', async () => {
    await api.newDataset('there before');
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
    await api.upload(id, 'b.jpg', 'not a picture');
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
    expect(failed).toMatchObject({ id, status: 'FAILED', counts: { rejected: 1 } });
    expect(failed?.error).toMatchObject({ problems: [{ filename: 'b.jpg', code: expect.any(String) }] });
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

  test('receives that a target is READY when its control arrives, and again when the control is replaced', async () => {
    const [one, two, three] = await Promise.all([1, 2, 3].map((seed) => media.jpeg({ seed })));
    const create = async (name: string, role: string) =>
      (await api.json<{ id: string }>('POST', '', { name, role })).body.id;
    const [target, control] = [await create('railway', 'training'), await create('depth', 'control')];
    await api.upload(target, 'a.jpg', one!);
    await api.upload(target, 'a.txt', 'a caption');
    await api.upload(control, 'z.jpg', two!);
    await api.json('PUT', `/${target}/links`, { control_1: control });
    await add();
    const eventsOf = (count: number) =>
      eventually(() => {
        const events = receiver.events().filter(({ data }) => data.id === target);
        return events.length >= count ? events : undefined;
      });
    await api.upload(control, 'a.jpg', two!);
    const [ready] = await eventsOf(1);
    expect(ready).toMatchObject({ type: 'dataset.ready', data: { id: target, status: 'READY' } });
    await api.upload(control, 'a.jpg', three!);
    const [, again] = await eventsOf(2);
    expect(again).toMatchObject({ type: 'dataset.ready', data: { id: target } });
    expect(again?.data.digest).not.toBe(ready?.data.digest);
    await api.request('DELETE', `/${control}/files/a.jpg`);
    expect((await eventsOf(3))[2]).toMatchObject({
      type: 'dataset.failed',
      data: { error: { code: 'MISSING_CONTROL' } },
    });
  });

  test('receives only the events it is for, and nothing that was so before it was made', async () => {
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

  test('is tried again after a failure; a test and a delivery can be sent again', async () => {
    const { body: webhook } = await add();
    receiver.answer = (response) => response.writeHead(500).end();
    const { body: sent } = await api.request<WireDelivery>('POST', `/webhooks/${webhook.id}/test`);
    expect(sent).toMatchObject({ event: 'webhook.test', state: 'waiting', attempts: 0, dataset_id: null });
    const [failed] = await eventually(async () => {
      const found = await deliveriesOf(webhook);
      return found[0]?.attempts === 1 ? found : undefined;
    });
    expect(failed).toMatchObject({ id: sent.id, state: 'waiting', answer: 500, error: 'The receiver answered 500.' });
    expect(String(failed?.next_attempt_at) > String(failed?.attempted_at)).toBe(true);
    receiver.answer = (response) => response.writeHead(200).end('thanks');
    const target = `/webhooks/${webhook.id}/deliveries/${sent.id}/resend`;
    expect((await api.request('POST', target)).body).toMatchObject({ id: sent.id, state: 'waiting', attempts: 0 });
    await eventually(async () => ((await deliveriesOf(webhook))[0]?.state === 'delivered' ? true : undefined));
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(ids).toEqual([sent.id, sent.id]);
  });

  test('that is deleted while a request is in flight and others wait receives none of these', async () => {
    const { body: webhook } = await add();
    const unanswered: ServerResponse[] = [];
    receiver.answer = (response) => void unanswered.push(response);
    for (let i = 0; i < 3; i++) await api.request('POST', `/webhooks/${webhook.id}/test`);
    await delivered(1);
    expect((await api.request('DELETE', `/webhooks/${webhook.id}`)).status).toBe(200);
    receiver.answer = (response) => response.writeHead(204).end();
    unanswered[0]?.writeHead(500).end();
    const { body: other } = await add({ url: `${receiver.url}/other` });
    await api.request('POST', `/webhooks/${other.id}/test`);
    await delivered(2);
    expect(receiver.received.map(({ path }) => path)).toEqual(['/hook', '/hook/other']);
    const { body } = await api.request('POST', `/webhooks/${webhook.id}/test`);
    expect(body).toMatchObject({ error_code: 404008 });
    expect(server.output()).not.toMatch(/"level":50/);
  });

  test('is disabled by an answer of 410, and receives nothing until it is enabled', async () => {
    const { body: webhook } = await add();
    receiver.answer = (response) => response.writeHead(410).end();
    await api.request('POST', `/webhooks/${webhook.id}/test`);
    const isEnabled = async () => {
      const { body } = await api.request<{ webhooks: WireWebhook[] }>('GET', '/webhooks');
      return body.webhooks[0]?.enabled;
    };
    await eventually(async () => ((await isEnabled()) ? undefined : true));
    expect((await deliveriesOf(webhook))[0]).toMatchObject({ state: 'failed', answer: 410 });
    receiver.answer = (response) => response.writeHead(204).end();
    await api.request('POST', `/webhooks/${webhook.id}/test`);
    const enabled = await api.json('PATCH', `/webhooks/${webhook.id}`, { enabled: true, url: `${receiver.url}/new` });
    expect(enabled.body).toMatchObject({ enabled: true, url: `${receiver.url}/new` });
    await delivered(2);
    expect(receiver.received.map(({ path }) => path)).toEqual(['/hook', '/hook/new']);
  });
});

describe('webhooks', () => {
  test('are at most ten, of one account, and end with their deletion', async () => {
    const made = await Promise.all(Array.from({ length: 12 }, () => add()));
    expect(made.map(({ status }) => status).sort()).toEqual([...Array(10).fill(200), 507, 507]);
    const own = made.find(({ status }) => status === 200)!.body;
    expect((await api.request('POST', `/webhooks/${own.id}/deliveries/none/resend`)).body.error_code).toBe(404009);
    expect((await api.request('DELETE', `/webhooks/${own.id}`)).body).toEqual({ id: own.id, deleted: true });
    const { body } = await api.request<{ webhooks: WireWebhook[] }>('GET', '/webhooks');
    expect(body.webhooks).toHaveLength(9);
    expect(JSON.stringify(body)).not.toContain('whsec_');
  });

  test('are listed without the path of their URLs for a token that only reads, and not for one that is bound', async () => {
    const dataset = await api.newDataset('bound to');
    const urls = [
      'https://hooks.example:8443/T0/secret?key=1',
      'https://queue.example/?key=1',
      'https://queue.example/',
    ];
    for (const url of urls) expect((await add({ url })).body.url).toBe(url);
    const listedBy = async (rights: object) => {
      const { secret } = (await api.json<WireNewToken>('POST', '/tokens', rights)).body;
      return new Client(server.url, secret).request<{ webhooks: WireWebhook[] }>('GET', '/webhooks');
    };
    const urlsIn = ({ webhooks }: { webhooks: WireWebhook[] }) => webhooks.map(({ url }) => url).sort();
    expect(urlsIn((await listedBy({})).body)).toEqual(urls.toSorted());
    expect(urlsIn((await listedBy({ read_only: true })).body)).toEqual([
      'https://hooks.example:8443/…',
      'https://queue.example/',
      'https://queue.example/…',
    ]);
    for (const rights of [{ datasets: [dataset] }, { datasets: [dataset], read_only: true }]) {
      const { status, body } = await listedBy(rights);
      expect([status, JSON.stringify(body)]).toEqual([403, expect.not.stringContaining('example')]);
    }
  });

  test('may have a URL of 2,000 characters, counted as they are sent', async () => {
    const url = `https://queue.example/${'é'.repeat(329)}abcd`;
    const { status, body } = await add({ url });
    expect([status, body.url.length]).toEqual([200, 2000]);
    const longer = await add({ url: `${url}e` });
    expect([longer.status, longer.body.detail?.[0]?.path]).toEqual([422, 'url']);
  });

  test.each([
    ['ftp://queue.example/hook'],
    ['https://user:password@queue.example/'],
    ['https://10.0.0.1/hook'],
    ['queue'],
  ])('do not lead to %s', async (url) => {
    const { status, body } = await add({ url });
    expect([status, body.detail?.[0]?.path]).toEqual([422, 'url']);
  });
});
