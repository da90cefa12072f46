import { execFile } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, type LookupFunction } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createServer } from 'node:tls';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { connect as connectS3, TIMEOUTS } from '../../../../src/storage/blobs/s3/connection.js';
import { parseS3Url } from '../../../../src/storage/blobs/s3/location.js';
import { linkSigner } from '../../../../src/storage/blobs/s3/presigning.js';
import type { S3Blobs } from '../../../../src/storage/blobs/s3/s3-blobs.js';
import { S3Bucket } from '../../../../src/storage/blobs/s3/bucket.js';
import { onS3, openS3, stagedIn, storeBlob } from '../../../harness/backends.js';
import { newRoot } from '../../../harness/mounting.js';

const run = promisify(execFile);
const bytes = Buffer.from('bytes to store and read');

/** Stores and reads a file, and uploads another through a presigned link. */
async function expectToWork(blobs: S3Blobs): Promise<{ url: string; expiresInSeconds: number }> {
  const version = await storeBlob(blobs, 'd/ours', bytes);
  expect((await buffer((await blobs.read('d/ours', { version }))!)).equals(bytes)).toBe(true);
  const link = await blobs.presigning!.presign('d/theirs', { sizeBytes: bytes.length, expiresInSeconds: 3600 });
  const { status } = await fetch(link.url, { method: 'PUT', body: bytes });
  expect(status).toBe(200);
  expect((await stagedIn(blobs, 'd')).map(({ key }) => key)).toEqual(['d/theirs']);
  return link;
}

function withEnvironment(variables: Record<string, string>): void {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  onTestFinished(() => {
    for (const name of Object.keys(variables)) delete process.env[name];
    Object.assign(process.env, before);
  });
}

onS3(() => {
  test('temporary credentials are used with their token, and no link outlives them', async ({ skip }) => {
    const { TEST_S3_ROLE, TEST_S3_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION } = process.env;
    if (TEST_S3_ROLE === undefined) return skip('there is no role to assume (TEST_S3_ROLE)');
    const user = ['--user', `${AWS_ACCESS_KEY_ID}:${AWS_SECRET_ACCESS_KEY}`];
    const parameters = `Action=AssumeRole&Version=2011-06-15&RoleArn=${TEST_S3_ROLE}&RoleSessionName=test&DurationSeconds=900`;
    const signed = ['-sS', '-m', '20', '--aws-sigv4', `aws:amz:${AWS_REGION}:sts`, ...user, '-d', parameters];
    const { stdout } = await run('curl', [...signed, `${TEST_S3_ENDPOINT}/`]);
    const found = (name: string) => new RegExp(`<${name}>([^<]+)<`).exec(stdout)?.[1] ?? '';
    withEnvironment({
      AWS_ACCESS_KEY_ID: found('AccessKeyId'),
      AWS_SECRET_ACCESS_KEY: found('SecretAccessKey'),
      AWS_SESSION_TOKEN: found('SessionToken'),
      AWS_CREDENTIAL_EXPIRATION: found('Expiration'),
    });
    const { blobs, bucket } = await openS3();
    await expectToWork(blobs);
    // The service's own credentials sign links where no others are set.
    const location = parseS3Url(bucket.url());
    const connection = await connectS3(location, TIMEOUTS);
    onTestFinished(() => connection.close());
    const { sign } = await linkSigner(new S3Bucket(connection, location), connection.signer);
    const { url, expiresInSeconds } = await sign('.staging/d/own', { sizeBytes: 10, expiresInSeconds: 3600 });
    expect(new URL(url).searchParams.get('X-Amz-Security-Token')).toBe(process.env.AWS_SESSION_TOKEN);
    expect(expiresInSeconds).toBeLessThanOrEqual(900);
    expect(expiresInSeconds).toBeGreaterThan(600);
  });

  test('a store with a certificate of the given authority is reached', async () => {
    const folder = await newRoot();
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
    const named = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    await run('openssl', [...made, ...named, '-keyout', key, '-out', cert]);
    const { hostname, port } = new URL(process.env.TEST_S3_ENDPOINT!);
    const proxy = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (client) => {
      const server = connect(Number(port), hostname);
      for (const socket of [client, server]) socket.on('error', () => {});
      client.pipe(server).pipe(client);
    });
    // A client that rejects the certificate closes the connection.
    proxy.on('tlsClientError', () => {});
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void proxy.close());
    const endpoint = `https://localhost:${(proxy.address() as AddressInfo).port}`;
    const { blobs } = await openS3({ parameters: { endpoint, ca: cert } });
    await storeBlob(blobs, 'd/a', bytes);
    expect((await buffer((await blobs.read('d/a'))!)).equals(bytes)).toBe(true);
    await expect(openS3({ parameters: { endpoint } })).rejects.toThrow(/self-signed certificate/);
  });

  test('a bucket is addressed as a host where the URL says so', async ({ skip }) => {
    if (process.env.TEST_S3_CEPH_HOME === undefined) return skip('only the local Ceph is known to run on localhost');
    const { lookup } = dns;
    // Resolves names below localhost, which not every system does.
    const withSubdomains: LookupFunction = (host, options, callback) =>
      lookup(host.endsWith('.localhost') ? 'localhost' : host, options, callback);
    Object.assign(dns, { lookup: withSubdomains });
    onTestFinished(() => void Object.assign(dns, { lookup }));
    const endpoint = new URL(process.env.TEST_S3_ENDPOINT!);
    endpoint.hostname = 'localhost';
    const { blobs, bucket } = await openS3({ parameters: { endpoint: endpoint.origin, path_style: 'false' } });
    const { url } = await expectToWork(blobs);
    expect(new URL(url).hostname).toBe(`${bucket.bucket}.localhost`);
  });
});
