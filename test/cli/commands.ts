import { onTestFinished } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import { type RunOptions, startCommand, trainyard } from '../harness/command.js';
import { newRoot } from '../harness/mounting.js';
import { type BreakingProxy, startProxy } from '../harness/proxy.js';
import type { SharedServer } from '../harness/shared-server.js';

/** An account of a server, its datasets by name, and the commands of a person who uses it. */
export async function commandsOn(server: SharedServer) {
  const api = await server.api();
  const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  const envFor = (url = server.url) => ({ TRAINYARD_URL: url, TRAINYARD_TOKEN: api.token });
  const statusOf = async (name: string) => {
    const found = await client.find(name);
    return found && client.status(found.id);
  };
  let names = 0;
  return {
    api,
    client,
    envFor,
    run: (args: readonly string[], url?: string) => trainyard(args, { env: envFor(url) }),
    start: (args: readonly string[], url?: string) => startCommand(args, { env: envFor(url) }),
    /** A name that no dataset of the account has. */
    newName: () => `set ${++names}`,
    /** A machine with its own settings. */
    newMachine: async (url = server.url, options: Pick<RunOptions, 'uid'> = {}) => {
      const env = { ...envFor(url), XDG_CONFIG_HOME: await newRoot() };
      const start = (...args: string[]) => startCommand(args, { env, ...options });
      return { env, start, run: (...args: string[]) => start(...args).ended };
    },
    newProxy: async (options: { isContractOnly?: boolean } = {}): Promise<BreakingProxy> => {
      const proxy = await startProxy(server.url, options);
      onTestFinished(() => proxy.close());
      return proxy;
    },
    statusOf,
    namesIn: async (name: string) => (await statusOf(name))?.files.map(({ filename }) => filename),
    textIn: async (name: string, filename: string) => api.text((await client.find(name))!.id, filename),
  };
}
