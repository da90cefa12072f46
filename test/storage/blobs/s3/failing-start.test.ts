import { expect, onTestFinished, test } from 'vitest';
import { onS3, openS3 } from '../../../harness/backends.js';
import { startProxy } from '../../../harness/proxy.js';

onS3(() => {
  test('a start names the status with which the store fails', async () => {
    const proxy = await startProxy(process.env.TEST_S3_ENDPOINT!);
    onTestFinished(() => proxy.close());
    proxy.rule(() => ({ status: 503 }));
    await expect(openS3({ parameters: { endpoint: proxy.url } })).rejects.toThrow(
      `the file store at ${proxy.url} fails with 503.`,
    );
  });
});
