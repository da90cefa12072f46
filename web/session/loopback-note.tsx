import { isLoopback } from '../../src/command-line.js';
import { useAccount } from './account.js';

interface LoopbackNoteProps {
  /** The address that others would open. */
  readonly url: string;
  /** What to do on this page after it was opened at another address, such as `create the link there`. */
  readonly then: string;
}

/** Warns that only the machine of the service can open an address, and says how others reach it. */
export function LoopbackNote({ url, then }: LoopbackNoteProps) {
  const account = useAccount();
  if (!isLoopback(url)) return null;
  const { host, port } = new URL(url);
  const others = account?.urls ?? [];
  return (
    <div role="note" className="rounded-lg bg-warn-soft px-3 py-2 text-sm wrap-anywhere">
      Only this machine can open an address with <code>{host}</code>.{' '}
      {others.length > 0 ? (
        <>The service listens at these too. Open this page at one that others can reach, and {then}:</>
      ) : (
        <>
          For others, start the service with <code>--host 0.0.0.0</code>, or behind a proxy. Then open this page at an
          address that they can reach, such as <code>http://192.168.1.20{port === '' ? '' : `:${port}`}</code>, and{' '}
          {then}.
        </>
      )}
      <ul className="mt-1 empty:hidden">
        {others.map((other) => (
          <li key={other}>
            <a href={other + location.pathname} className="text-link underline">
              {other}
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}
