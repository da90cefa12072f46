import type { WireDataset, WireDatasetWithFiles, WireManifest } from '../../src/api/schemas.js';
import { BASE_PATH } from '../../src/api/limits.js';
import type { WireRole } from '../../src/api/values.js';

/** An answer of any status; no status throws. */
export interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T & { error_code?: number; error_message?: string; detail?: { path: string; message: string }[] };
}

export interface UploadLink {
  readonly upload_url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly expires_at: string;
}

/** Calls the API with plain fetch, as any client of the hosted API does. */
export class Api {
  readonly url: string;
  readonly token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  /** Any request below the base path; `path` is relative to it. */
  async request<T>(method: string, path: string, init: RequestInit = {}): Promise<Answer<T>> {
    return answerOf(await this.raw(method, path, init));
  }

  raw(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers({ authorization: `Bearer ${this.token}` });
    for (const [name, value] of new Headers(init.headers)) headers.set(name, value);
    return fetch(`${this.url}${BASE_PATH}${path}`, { ...init, method, headers });
  }

  json<T>(method: string, path: string, body: unknown): Promise<Answer<T>> {
    return this.request(method, path, { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  }

  create(name?: string, role?: WireRole): Promise<Answer<WireDataset>> {
    return this.json('POST', '', { name, role });
  }

  /** Creates a dataset and returns its id. */
  async newDataset(name?: string, role?: WireRole): Promise<string> {
    return (await this.create(name, role)).body.id;
  }

  list(query = ''): Promise<Answer<{ datasets: WireDataset[]; next_cursor?: string | null }>> {
    return this.request('GET', query);
  }

  status(id: string, query = ''): Promise<Answer<WireDatasetWithFiles>> {
    return this.request('GET', `/${id}/status${query}`);
  }

  manifest(id: string): Promise<Answer<WireManifest>> {
    return this.request('GET', `/${id}/manifest`);
  }

  upload(
    id: string,
    filename: string,
    bytes: Uint8Array | string,
  ): Promise<
    Answer<{ dataset_id: string; filename: string; size_bytes: number; content_type: string; sha256: string }>
  > {
    const form = new FormData();
    form.append('file', new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'application/octet-stream' }), filename);
    return this.request('POST', `/${id}/upload`, { body: form });
  }

  links(
    id: string,
    filenameToByteSize: Record<string, number>,
    ifMatch?: Record<string, unknown>,
  ): Promise<Answer<{ uploads: Record<string, UploadLink> }>> {
    return this.json('POST', `/${id}/get-upload-endpoint`, { filenameToByteSize, ifMatch });
  }

  /** One link. */
  async link(id: string, filename: string, sizeBytes: number): Promise<string> {
    const { body } = await this.links(id, { [filename]: sizeBytes });
    const link = body.uploads[filename];
    if (link === undefined) throw new Error(`no link for ${filename}: ${JSON.stringify(body)}`);
    return link.upload_url;
  }

  /** The bytes of a stored file as UTF-8, a byte order mark included. */
  async text(id: string, filename: string): Promise<string> {
    const response = await this.raw('GET', `/${id}/files/${encodeURIComponent(filename)}`);
    return Buffer.from(await response.arrayBuffer()).toString();
  }

  filenames(id: string): Promise<string[]> {
    return this.status(id).then(({ body }) => body.files.map((file) => file.filename));
  }
}

/** A PUT as clients send it to a signed link: no token. */
export async function put(url: string, bytes: Uint8Array | string): Promise<Answer<{ filename: string }>> {
  return answerOf(await fetch(url, { method: 'PUT', body: bytes as Uint8Array<ArrayBuffer> }));
}

async function answerOf<T>(response: Response): Promise<Answer<T>> {
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer<T>['body'] };
}
