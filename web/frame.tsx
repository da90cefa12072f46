import { BookOpen, LogOut, Moon, Sun, UserRound } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import { ReadOnlyNotice } from './session/read-only-notice.js';
import { signOut } from './session/session.js';
import { Button } from './ui/button.js';
import { messageOf } from './ui/format.js';
import { chooseTheme, currentTheme } from './ui/theme.js';

/** The header of every page, around its content. */
export function Frame({ children }: { children: ReactNode }) {
  const [theme, setTheme] = useState(currentTheme);
  const [failure, setFailure] = useState<string>();
  const fail = (error: unknown) => setFailure(`You are still signed in. ${messageOf(error)}`);
  const other = theme === 'dark' ? 'light' : 'dark';
  return (
    <div className="flex min-h-dvh flex-col">
      <a href="#page" className="sr-only focus:not-sr-only focus:absolute focus:z-10 focus:bg-panel focus:p-2">
        Skip to content
      </a>
      <header className="flex items-center gap-2 border-b border-line bg-panel px-4 py-2">
        <Link href="/" className="mr-auto flex touch items-center gap-2 font-semibold">
          <img src="/favicon.svg" alt="" className="size-6" /> trainyard
        </Link>
        <a
          href="/docs"
          aria-label="API documentation"
          title="API documentation"
          className="inline-flex size-9 touch items-center justify-center rounded-lg hover:bg-raised"
        >
          <BookOpen size={18} aria-hidden />
        </a>
        <Link
          href="/account"
          aria-label="Account"
          title="Account"
          className="inline-flex size-9 touch items-center justify-center rounded-lg hover:bg-raised"
        >
          <UserRound size={18} aria-hidden />
        </Link>
        <Button
          kind="quiet"
          aria-label={`Switch to ${other} colours`}
          onClick={() => {
            chooseTheme(other);
            setTheme(other);
          }}
        >
          {theme === 'dark' ? <Sun size={18} aria-hidden /> : <Moon size={18} aria-hidden />}
        </Button>
        <Button kind="quiet" aria-label="Sign out" onClick={() => void signOut().catch(fail)}>
          <LogOut size={18} aria-hidden />
        </Button>
      </header>
      {failure !== undefined && (
        <p role="alert" className="border-b border-line px-4 py-2 text-sm text-bad">
          {failure}
        </p>
      )}
      <ReadOnlyNotice />
      <main id="page" tabIndex={-1} className="flex w-full grow flex-col gap-4 p-4 outline-none">
        {children}
      </main>
    </div>
  );
}
