/** The text of a file, which Vite puts into the bundle. */
declare module '*?raw' {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: Vite exports the text so
  export default text;
}
