/** What can be chosen: values that are their own labels, values with labels, or labels by value. */
export type Options<T extends string | number> =
  | readonly (T | { readonly value: T; readonly label: string })[]
  | (T extends unknown ? Readonly<Partial<Record<T, string>>> : never);

/** @param value one of them, which tells numbers from texts */
export function optionsOf<T extends string | number>(options: Options<T>, value: T) {
  if (Array.isArray(options)) {
    return (options as readonly (T | { value: T; label: string })[]).map((option) =>
      typeof option === 'object' ? option : { value: option, label: String(option) },
    );
  }
  return Object.entries<string>(options as Readonly<Record<T, string>>).map(([key, label]) => ({
    value: (typeof value === 'number' ? Number(key) : key) as T,
    label,
  }));
}
