import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { AccountLinks } from './session/account-links.js';
import { useCanWrite } from './session/account.js';
import { PageBody } from './ui/page-body.js';

const LINK = 'inline-flex size-9 touch items-center justify-center rounded-lg hover:bg-raised';

/** A page of the account: the header of the site above its content. A dataset has a header of its own. */
export function Frame({ children }: { children: ReactNode }) {
  return (
    <>
      <header className="flex items-center gap-2 border-b border-line bg-panel px-4 py-2">
        <Link href="/" className="mr-auto flex touch items-center gap-2 font-semibold">
          <img src="/favicon.svg" alt="" className="size-6" /> trainyard
        </Link>
        <AccountLinks link={LINK} areIcons />
      </header>
      <ReadOnlyNotice />
      <PageBody>{children}</PageBody>
    </>
  );
}

/** Says that changes will be rejected, before the user has typed any. */
function ReadOnlyNotice() {
  const canWrite = useCanWrite();
  if (canWrite) return null;
  return (
    <p role="note" className="border-b border-line bg-raised px-4 py-2 text-sm">
      You are signed in with a token that only reads: you can look at datasets and download them, but not change them.
    </p>
  );
}
