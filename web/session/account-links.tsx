import { BookOpen, LogOut, Moon, Search, Sun, UserRound } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { runVerb, withKey } from '../keys.js';
import { Button } from '../ui/button.js';
import { messageOf } from '../ui/format.js';
import { Alert } from '../ui/loaded.js';
import { chooseTheme, currentTheme } from '../ui/theme.js';
import { signOut } from './session.js';

interface AccountLinksProps {
  /** The class of a link. */
  readonly link: string;
  /** Whether icons stand alone, as in the header of the page. */
  readonly areIcons?: boolean;
}

/** What every page offers: the documentation, the account, the colours and signing out. */
export function AccountLinks({ link, areIcons = false }: AccountLinksProps) {
  const [theme, setTheme] = useState(currentTheme);
  const [failure, setFailure] = useState<string>();
  const fail = (error: unknown) => setFailure(`You are still signed in. ${messageOf(error)}`);
  const other = theme === 'dark' ? 'light' : 'dark';
  const size = areIcons ? 18 : 16;
  const words = (text: string) => (areIcons ? { 'aria-label': text, title: text } : {});
  const shown = (text: string) => (areIcons ? null : text);
  return (
    <>
      <Button kind="quiet" {...words(withKey('Go to, or do', 'palette'))} onClick={() => runVerb('palette')}>
        <Search size={size} aria-hidden /> {shown('Go to, or do …')}
      </Button>
      <a href="/docs" {...words('API documentation')} className={link}>
        <BookOpen size={size} aria-hidden /> {shown('API documentation')}
      </a>
      <Link href="/account" {...words('Account')} className={link}>
        <UserRound size={size} aria-hidden /> {shown('Account')}
      </Link>
      <Button
        kind="quiet"
        {...words(`Switch to ${other} colours`)}
        onClick={() => {
          chooseTheme(other);
          setTheme(other);
        }}
      >
        {theme === 'dark' ? <Sun size={size} aria-hidden /> : <Moon size={size} aria-hidden />}
        {shown(`Switch to ${other} colours`)}
      </Button>
      <Button kind="quiet" {...words('Sign out')} onClick={() => void signOut().catch(fail)}>
        <LogOut size={size} aria-hidden /> {shown('Sign out')}
      </Button>
      <Alert className="max-w-64 px-3">{failure}</Alert>
    </>
  );
}
