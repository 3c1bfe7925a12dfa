/** Whether handlers may be given jobs now. A ledger without one always lets them; a test decides itself. */
export interface Gate {
  readonly isOpen: boolean
  /** `call` is called each time it opens. */
  onOpen(call: () => void): void
}
