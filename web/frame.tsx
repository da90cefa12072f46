import { BookOpen, LogOut, Moon, Sun } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import { signOut } from './session/session.js';
import { Button } from './ui/button.js';
import { chooseTheme, currentTheme } from './ui/theme.js';

/** The header of every page, around its content. */
export function Frame({ children }: { children: ReactNode }) {
  const [theme, setTheme] = useState(currentTheme);
  const other = theme === 'dark' ? 'light' : 'dark';
  return (
    <div className="flex min-h-dvh flex-col">
      <a href="#page" className="sr-only focus:not-sr-only focus:absolute focus:z-10 focus:bg-panel focus:p-2">
        Skip to content
      </a>
      <header className="flex items-center gap-2 border-b border-line bg-panel px-4 py-2">
        <Link href="/" className="mr-auto flex items-center gap-2 font-semibold">
          <img src="/favicon.svg" alt="" className="size-6" /> trainyard
        </Link>
        <a
          href="/docs"
          aria-label="API documentation"
          title="API documentation"
          className="inline-flex size-9 items-center justify-center rounded-lg hover:bg-raised"
        >
          <BookOpen size={18} aria-hidden />
        </a>
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
        <Button kind="quiet" aria-label="Sign out" onClick={() => signOut()}>
          <LogOut size={18} aria-hidden />
        </Button>
      </header>
      <main id="page" tabIndex={-1} className="flex w-full grow flex-col gap-4 p-4 outline-none">
        {children}
      </main>
    </div>
  );
}
