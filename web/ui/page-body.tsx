import type { ReactNode } from 'react';

/** The content of a page, below its header. */
export function PageBody({ children }: { children: ReactNode }) {
  return (
    <main id="page" tabIndex={-1} className="flex w-full grow flex-col gap-4 p-4 outline-none">
      {children}
    </main>
  );
}

/** The first element of a page, which a keyboard reaches first. */
export function SkipLink() {
  return (
    <a href="#page" className="sr-only focus:not-sr-only focus:absolute focus:z-40 focus:bg-panel focus:p-2">
      Skip to content
    </a>
  );
}
