/** Processor time that the processes for one file share, one after the other. What they use is subtracted. */
export interface CpuBudget {
  secondsLeft: number;
}

/** The work was ended, since it has used its budget of processor time. */
export class CpuBudgetSpent extends Error {
  override readonly name = 'CpuBudgetSpent';
}
