import { TrainyardClient } from '../../../src/client/client.js';
import { Api } from '../../harness/api.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';

/** Without a grace, files that the history must keep are missing at once if they are deleted. */
const SETTINGS = { 'caption-grace-seconds': 0, 'blob-grace-seconds': 0 };

/** Half of the lease is the pause between two runs of the retention. */
const RULES = { all: {}, latest: { 'history-days': 0, 'lease-seconds': 4 } };

export type Client = 'page' | 'command' | 'curl';

/** A server that is killed and started again, at the same address, and a token for each client. */
export class Installation {
  #server: TestServer;
  #keeps: keyof typeof RULES = 'all';
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

  get keeps(): keyof typeof RULES {
    return this.#keeps;
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

  async restart(keeps: keyof typeof RULES): Promise<void> {
    await this.#server.stop('SIGKILL');
    const { dataFolder, url } = this.#server;
    const settings = { ...SETTINGS, port: new URL(url).port, ...RULES[keeps] };
    this.#server = await startServer(settings, { dataFolder });
    this.#keeps = keeps;
  }

  discard(): Promise<void> {
    return discardServer(this.#server);
  }
}
