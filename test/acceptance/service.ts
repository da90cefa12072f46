import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';

const BASE_PATH = '/prod/v1/trainers/datasets';

export const TOKEN = setting('ACCEPTANCE_TOKEN');
/** A token of a second account; empty if none was given. */
export const OTHER_TOKEN = process.env.ACCEPTANCE_OTHER_TOKEN ?? '';
const BASE_URL = setting('ACCEPTANCE_URL').replace(/\/+$/, '').replace(BASE_PATH, '') + BASE_PATH;

type Texts<Names extends string> = Readonly<Record<Names, string>>;

export type UploadLink = Texts<'upload_url' | 'method' | 'expires_at'> & { readonly headers: Record<string, string> };

export interface Dataset extends Texts<'id' | 'name' | 'status' | 'created_at' | 'updated_at'> {
  readonly error?: Texts<'code' | 'message'> & {
    readonly problems: readonly (Texts<'code' | 'message'> & { readonly filename?: string })[];
  };
  readonly files: readonly { readonly filename: string; readonly size_bytes: number; readonly sha256?: string }[];
}

/** The fields of all response bodies; a test reads those of the call that it made. */
interface Body extends Dataset, Texts<'error_message'> {
  readonly datasets: readonly Dataset[];
  readonly uploads: Record<string, UploadLink>;
  readonly error_code: number;
  readonly detail?: readonly Texts<'path' | 'message'>[];
}

export interface Answer {
  readonly status: number;
  readonly body: Body;
}

interface Call {
  readonly body?: RequestInit['body'];
  readonly headers?: Record<string, string>;
  /** The token of the first account by default; `null` sends no header. */
  readonly authorization?: string | null;
}

/** Sends a request to a path below the base path, and checks the rules that apply to every answer. */
export async function call(method: string, path: string, { body, headers, authorization }: Call = {}): Promise<Answer> {
  const sent = new Headers(headers);
  if (authorization !== null) sent.set('authorization', authorization ?? `Bearer ${TOKEN}`);
  const options = { method, headers: sent, redirect: 'error', body: body ?? null } as const;
  const response = await fetch(`${BASE_URL}${path}`, options);
  expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  const parsed = (await response.json()) as Body;
  if (response.ok) expect(parsed).not.toHaveProperty('error_code');
  else expectErrorBody(response.status, parsed);
  return { status: response.status, body: parsed };
}

function expectErrorBody(status: number, body: Body): void {
  expect(Number.isInteger(body.error_code) && Math.floor(body.error_code / 1000)).toBe(status);
  expect(body.error_message).toEqual(expect.stringMatching(/\S/));
  for (const problem of body.detail ?? []) {
    expect(problem).toEqual({ path: expect.any(String), message: expect.stringMatching(/\S/) });
  }
}

export function callJson(method: string, path: string, body: unknown): Promise<Answer> {
  return call(method, path, { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
}

const created = new Set<string>();

/** Creates a dataset, which `removeDatasets` deletes again. */
export async function create(body: unknown, options: Call = {}): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  return recorded(await call('POST', '', { body: JSON.stringify(body), headers, ...options }));
}

export function recorded(answer: Answer): Answer {
  if (answer.status === 200) created.add(answer.body.id);
  return answer;
}

export async function removeDatasets(): Promise<void> {
  for (const id of created) await call('DELETE', `/${id}`);
  created.clear();
}

/** Makes a name that no other test or run uses. */
export function freshName(ending = ''): string {
  return `acceptance ${randomUUID()}${ending}`;
}

/** The id of a new dataset. */
export async function newDataset(): Promise<string> {
  const { status, body } = await create({ name: freshName() });
  expect(status).toBe(200);
  return body.id;
}

export async function remove(id: string): Promise<Answer> {
  created.delete(id);
  return call('DELETE', `/${id}`);
}

export async function statusOf(id: string, query = ''): Promise<Dataset> {
  const { status, body } = await call('GET', `/${id}/status${query}`);
  expect(status).toBe(200);
  expect(body.files).toBeInstanceOf(Array);
  expect(['DRAFT', 'UPLOADING', 'READY', 'FAILED']).toContain(body.status);
  expect(body.error !== undefined).toBe(body.status === 'FAILED');
  return body;
}

export async function filenamesOf(id: string): Promise<string[]> {
  return (await statusOf(id)).files.map(({ filename }) => filename).sort();
}

/** Polls once a second until the dataset has this status. */
export async function waitForStatus(id: string, wanted: 'READY' | 'FAILED', seconds = 90): Promise<Dataset> {
  const deadline = Date.now() + seconds * 1000;
  let dataset = await statusOf(id);
  while (dataset.status !== wanted && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    dataset = await statusOf(id);
  }
  expect(dataset.status).toBe(wanted);
  return dataset;
}

/** Uploads a file in one request. Its part declares `application/octet-stream`, as some clients do for every file. */
export function upload(id: string, filename: string, bytes: Blob | Buffer | string): Promise<Answer> {
  const form = new FormData();
  form.append('file', new Blob([bytes as Blob], { type: 'application/octet-stream' }), filename);
  return call('POST', `/${id}/upload`, { body: form });
}

/** Sends a form whose part has exactly this header. */
export function uploadRaw(id: string, disposition: string, content: Buffer | string): Promise<Answer> {
  const head = `--BOUNDARY\r\nContent-Disposition: ${disposition}\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(head), Buffer.from(content), Buffer.from('\r\n--BOUNDARY--\r\n')]);
  return call('POST', `/${id}/upload`, { body, headers: { 'content-type': 'multipart/form-data; boundary=BOUNDARY' } });
}

export function links(id: string, filenameToByteSize: Record<string, unknown>): Promise<Answer> {
  return callJson('POST', `/${id}/get-upload-endpoint`, { filenameToByteSize });
}

/** Requests a link for one file. */
export async function linkOf(id: string, filename: string, sizeBytes: number): Promise<UploadLink> {
  const { status, body } = await links(id, { [filename]: sizeBytes });
  expect(status).toBe(200);
  return body.uploads[filename]!;
}

/** Sends bytes to a link as clients do: without a token and without a content type. Returns the status. */
export async function put({ upload_url, headers }: UploadLink, body: RequestInit['body']): Promise<number> {
  const stream = body instanceof ReadableStream ? { duplex: 'half' } : {};
  const options = { method: 'PUT', headers, body, redirect: 'error', ...stream } as RequestInit;
  const response = await fetch(upload_url, options);
  await response.arrayBuffer();
  return response.status;
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set. Run the tests by: npm run acceptance -- URL TOKEN`);
  return value;
}
