/** What a dry run of retention would have done so far: later rules go by what earlier ones would have left. */
export class Rehearsal {
  readonly #done: { readonly remove: Set<string>; readonly expunge: Set<string> } = {
    remove: new Set(),
    expunge: new Set(),
  }

  note(id: string, action: 'remove' | 'expunge'): void {
    this.#done[action].add(id)
  }

  /** Whether a rule with this action would still find the job. */
  isLeft(id: string, action: 'remove' | 'expunge'): boolean {
    return !this.#done.remove.has(id) && !(action === 'expunge' && this.#done.expunge.has(id))
  }
}
