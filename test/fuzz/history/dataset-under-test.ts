import { TrainyardClient } from '../../../src/client/client.js';
import { Api } from '../../harness/api.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';
import { contentOf } from '../../faults/contents.js';
import { type Compared, filesOf } from './compare-history.js';
import { type Author, HistoryModel } from './history-model.js';
import type { Text } from './steps.js';
import { sha256 } from '../../harness/sha256.js';

/** Without a grace, files that the history must keep are missing at once if they are deleted. */
const SETTINGS = { 'caption-grace-seconds': 0, 'blob-grace-seconds': 0 };

type Client = 'page' | 'command' | 'curl';

/** A server that is killed and started again, at the same address, and a token for each client. */
export class Installation {
  #server: TestServer;
  readonly #tokens: Readonly<Record<Client, string>>;

  private constructor(server: TestServer, tokens: Readonly<Record<Client, string>>) {
    this.#server = server;
    this.#tokens = tokens;
  }

  static async start(): Promise<Installation> {
    const server = await startServer(SETTINGS);
    const [page, command, curl] = [await server.api(), await server.api(), await server.api()];
    return new Installation(server, { page: page.token, command: command.token, curl: curl.token });
  }

  get server(): TestServer {
    return this.#server;
  }

  get curl(): Api {
    return new Api(this.#server.url, this.#tokens.curl);
  }

  /** The environment of the command. */
  get commandEnv(): Record<string, string> {
    return { TRAINYARD_URL: this.#server.url, TRAINYARD_TOKEN: this.#tokens.command };
  }

  /** The client of the page, for the requests of one change. */
  page(change?: { how: 'edit' | 'bulk'; id: string }): TrainyardClient {
    const options = { baseUrl: this.#server.url, token: this.#tokens.page, attempts: 1 };
    return new TrainyardClient({ ...options, ...(change && { change }) });
  }

  async restart(): Promise<void> {
    await this.#server.stop('SIGKILL');
    const { dataFolder, url } = this.#server;
    this.#server = await startServer({ ...SETTINGS, port: new URL(url).port }, { dataFolder });
  }

  discard(): Promise<void> {
    return discardServer(this.#server);
  }
}

/** A dataset that a sequence changes, with all that the clients have sent and were told. */
export class DatasetUnderTest {
  readonly installation: Installation;
  readonly id: string;
  readonly name: string;
  readonly model = new HistoryModel();
  /** Each text that the server has acknowledged, by its SHA-256. */
  readonly acknowledged: { readonly filename: string; readonly hash: string }[] = [];
  /** The files as the page last read them. */
  seen = new Map<string, string>();
  readonly #contents = new Map<string, Buffer>();
  #sent = 0;

  constructor(installation: Installation, { id, name }: { id: string; name: string }) {
    this.installation = installation;
    this.id = id;
    this.name = name;
  }

  get compared(): Compared {
    return { client: this.installation.page(), id: this.id, model: this.model, contents: this.#contents };
  }

  newId(): string {
    return `change-${++this.#sent}`;
  }

  content(filename: string, text: Text): Buffer {
    const bytes = contentOf(filename, text === 'new' ? `text ${++this.#sent}` : `a ${text} wagon`);
    this.#contents.set(sha256(bytes), bytes);
    return bytes;
  }

  /** Applies a change of one file that the server has acknowledged. */
  change(author: Author, filename: string, hash: string | undefined): void {
    this.model.change(author, new Map([[filename, hash]]));
    this.acknowledge(filename, hash);
  }

  acknowledge(filename: string, hash: string | undefined): void {
    if (hash !== undefined) this.acknowledged.push({ filename, hash });
  }

  /** The page reads the dataset. */
  async look(): Promise<void> {
    this.seen = filesOf((await this.installation.page().status(this.id)).files);
  }

  /** The page has read a file, or that there is none. */
  note(filename: string, hash: string | undefined): void {
    if (hash === undefined) this.seen.delete(filename);
    else this.seen.set(filename, hash);
  }
}

/** As the page sends it with an edit: null if there must be no such file. */
export function etagOf(hash: string | undefined): string | null {
  return hash === undefined ? null : `"${hash}"`;
}
