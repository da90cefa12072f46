interface ProgressBarProps {
  readonly label: string;
  readonly total: number;
  /** Known to have arrived. */
  readonly arrived: number;
  /** Has left, and nobody has said yet that it arrived: in a lighter tone. */
  readonly sent: number;
}

export function ProgressBar({ label, total, arrived, sent }: ProgressBarProps) {
  const percentOf = (bytes: number) => (total === 0 ? 0 : Math.min(100, (bytes / total) * 100));
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuenow={Math.floor(percentOf(arrived + sent))}
      className="flex h-2 w-full overflow-hidden rounded-full bg-raised"
    >
      <div className="bg-accent" style={{ width: `${percentOf(arrived)}%` }} />
      <div className="bg-accent opacity-50" style={{ width: `${percentOf(sent)}%` }} />
    </div>
  );
}
