/** In a mask dataset, a problem of the same code is about a file. */
export function isPairProblem({ code, filename }: { code: string; filename?: string | undefined }): boolean {
  return filename === undefined && /CONTROL|MASK|^LINKED_/.test(code);
}
