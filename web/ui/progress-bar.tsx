interface ProgressBarProps {
  readonly label: string;
  readonly total: number;
  /** Done, or acknowledged by the service. */
  readonly uploaded: number;
  /** Sent and not acknowledged yet; drawn in a lighter tone. */
  readonly sent?: number;
}

export function ProgressBar({ label, total, uploaded, sent = 0 }: ProgressBarProps) {
  const percentOf = (bytes: number) => (total === 0 ? 0 : Math.min(100, (bytes / total) * 100));
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuenow={Math.floor(percentOf(uploaded + sent))}
      className="flex h-2 w-full overflow-hidden rounded-full bg-raised"
    >
      <div className="bg-accent" style={{ width: `${percentOf(uploaded)}%` }} />
      <div className="bg-accent opacity-50" style={{ width: `${percentOf(sent)}%` }} />
    </div>
  );
}
