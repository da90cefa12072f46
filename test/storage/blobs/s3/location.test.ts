import { expect, test } from 'vitest';
import { loadConfig } from '../../../../src/config.js';
import { parseS3Url } from '../../../../src/storage/blobs/s3/location.js';

test('a URL has all settings of a bucket', () => {
  const url =
    's3://train-data/some/where/?endpoint=https://ceph.local:7480&public_endpoint=https://data.example' +
    '&region=eu-1&path_style=false&sse=aws:kms&kms_key=alias/k&ca=/etc/ca.pem';
  expect(parseS3Url(url)).toEqual({
    kind: 's3',
    bucket: 'train-data',
    prefix: 'some/where',
    endpoint: 'https://ceph.local:7480',
    publicEndpoint: 'https://data.example',
    region: 'eu-1',
    isPresigned: true,
    isPathStyle: false,
    encryption: { algorithm: 'aws:kms', kmsKey: 'alias/k' },
    caFile: '/etc/ca.pem',
  });
});

test('a bucket alone is a valid location, and an endpoint changes the defaults', () => {
  expect(parseS3Url('s3://train-data')).toMatchObject({ prefix: '', region: undefined, isPathStyle: false });
  const own = parseS3Url('s3://train-data/a%20b%2Fc?endpoint=http://ceph:7480');
  expect(own).toMatchObject({ prefix: 'a b/c', region: 'us-east-1', isPathStyle: true });
});

test.each([
  ['https://bucket', 's3://bucket/prefix'],
  ['s3://', 'must name a bucket'],
  ['s3://bucket:9000/', 'without a port'],
  ['s3://bucket/a//b', 'empty parts'],
  ['s3://bucket?endpiont=http://x', 'has unknown parameters: endpiont'],
  ['s3://bucket?endpoint=ceph:7480', 'must have endpoint= of the form https://host:port'],
  ['s3://bucket?public_endpoint=http://user:pw@ceph', 'must have public_endpoint= of the form https://host:port'],
  ['s3://bucket?path_style=yes', 'path_style=true or path_style=false'],
  ['s3://bucket?sse=rot13', 'must have sse=AES256 or sse=aws:kms'],
  ['s3://bucket?kms_key=k', 'only with sse=aws:kms'],
  ['s3://bucket?sse=AES256&kms_key=k', 'only with sse=aws:kms'],
])('%s is rejected with the reason', (url, reason) => {
  expect(() => parseS3Url(url)).toThrow(reason);
});

test('all faults of a URL are reported at once, without its password', () => {
  const url = 's3://key:hush@bucket?sse=rot13&path_style=maybe';
  const fault = (() => {
    try {
      loadConfig({}, { BLOBS_URL: url });
    } catch (error) {
      return String((error as Error).message);
    }
  })();
  expect(fault).toMatch(/^BLOBS_URL must hold no credentials.*; it must have path_style.*; it must have sse=/);
  expect(fault).not.toContain('hush');
});
