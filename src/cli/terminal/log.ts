import { type Logger, pino } from 'pino';
import { withoutTokens } from '../../service/audit-log.js';
import { printable } from './text.js';

/** JSON lines for programs, or the warnings and errors as text for a person. */
export type LogForm = 'json' | 'text';

const WARNING = 40;
const ERROR = 50;

/** The log on standard error, without tokens. */
export function openLog(level: string, form: LogForm): Logger {
  const output = pino.destination({ fd: 2, sync: true });
  const textOf = form === 'json' ? (line: string) => line : logText;
  return pino({ level }, { write: (line) => output.write(textOf(withoutTokens(line))) });
}

/** `warning: the bucket does not answer (attempt 2): timed out`; empty below a warning. */
export function logText(line: string): string {
  const { level, time, pid, hostname, msg, err, ...facts } = JSON.parse(line);
  if (level < WARNING) return '';
  const details = Object.entries(facts).map(
    ([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const about = details.length > 0 ? ` (${details.join(', ')})` : '';
  const reason = err?.message === undefined || err.message === msg ? '' : `: ${err.message}`;
  return `${printable(`${level < ERROR ? 'warning' : 'error'}: ${msg}${about}${reason}`)}\n`;
}
