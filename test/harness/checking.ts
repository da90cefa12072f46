import { type Ended, trainyard } from './command.js';
import { environmentOf, type TestServer } from './server.js';

/** Runs `trainyard verify --store` on the installation of a server, which may be running. */
export async function checkStoreOf(server: Pick<TestServer, 'dataFolder'>, ...flags: string[]): Promise<Ended> {
  const env = await environmentOf(server.dataFolder);
  const args = ['verify', '--store', '--data', server.dataFolder, '--blob-grace-seconds', '0', '--json', ...flags];
  return trainyard(args, { env });
}

/** The findings of `verify --store`; none if catalog and store agree. */
export async function findingsOf(server: Pick<TestServer, 'dataFolder'>): Promise<unknown[]> {
  const ended = await checkStoreOf(server);
  if (ended.stdout === '') throw new Error(`verify --store ended with ${ended.code}: ${ended.stderr}`);
  const document = ended.json();
  if (document.findings === undefined) throw new Error(JSON.stringify(document));
  if ((document.findings.length === 0) !== (ended.code === 0)) throw new Error(`the exit code is ${ended.code}`);
  return document.findings;
}
