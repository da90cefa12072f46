/** The files of `examples/railway`, which the build copies beside the page: their addresses, by name. */
export const EXAMPLE_FILES: readonly { readonly name: string; readonly url: string }[] = Object.entries(
  import.meta.glob<string>('../../../examples/railway/*', { query: '?url', import: 'default', eager: true }),
).map(([path, url]) => ({ name: path.slice(path.lastIndexOf('/') + 1), url }));
