import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../test/harness/free-port.js';
import { Connection } from './connection.js';

const run = promisify(execFile);
const START_MS = 5000;

export interface Nginx {
  readonly url: string;
  /** The folder of uploaded files. */
  readonly root: string;
  readonly stop: () => Promise<void>;
}

/** Why nginx can't be used on this machine; `undefined` if it can. */
export async function nginxMissing(): Promise<string | undefined> {
  try {
    const { stderr } = await run('nginx', ['-V']);
    return stderr.includes('http_dav_module') ? undefined : 'nginx has no WebDAV module';
  } catch {
    return 'nginx is not installed';
  }
}

/** Starts nginx as a WebDAV server of a folder, in the foreground and without limits. */
export async function startNginx(folder: string): Promise<Nginx> {
  const root = join(folder, 'files');
  await mkdir(root, { recursive: true });
  await mkdir(join(folder, 'temp'));
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  await writeFile(config, configFor({ folder, root, port }));
  const child = spawn('nginx', ['-p', folder, '-c', config, '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(child, 'exit');
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  for (const deadline = Date.now() + START_MS; ; ) {
    const connection = await Connection.open(url).catch(() => undefined);
    connection?.close();
    if (connection !== undefined) return { url, root, stop };
    if (child.exitCode !== null || Date.now() > deadline) throw new Error('nginx did not start');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function configFor({ folder, root, port }: { folder: string; root: string; port: number }): string {
  const temp = join(folder, 'temp');
  // If root starts nginx, its workers run as another user by default, who can't write to this folder.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `${user}
daemon off;
worker_processes auto;
pid ${folder}/nginx.pid;
error_log stderr error;
events {}
http {
  access_log off;
  client_max_body_size 0;
  client_body_temp_path ${temp}/body;
  proxy_temp_path ${temp}/proxy;
  fastcgi_temp_path ${temp}/fastcgi;
  uwsgi_temp_path ${temp}/uwsgi;
  scgi_temp_path ${temp}/scgi;
  server {
    listen 127.0.0.1:${port};
    root ${root};
    location / { dav_methods PUT; }
  }
}
`;
}
