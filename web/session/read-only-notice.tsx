import { useCanWrite } from './account.js';

/** Says that changes will be rejected, before the user has typed any. */
export function ReadOnlyNotice() {
  const canWrite = useCanWrite();
  if (canWrite) return null;
  return (
    <p role="note" className="border-b border-line bg-raised px-4 py-2 text-sm">
      You are signed in with a token that only reads: you can look at datasets and download them, but not change them.
    </p>
  );
}
