import { InvalidOption } from '../domain/errors.js'
import type { Maintenance } from '../runtime/ports/maintenance.js'

/** Undefined for a store that looks after itself, or cannot be looked after from here. Opens nothing yet. */
export async function openMaintenance(url: string): Promise<Maintenance | undefined> {
  const [, scheme, rest = ''] = /^([a-z+]+):(.*)$/s.exec(url) ?? []
  if (scheme === 'sqlite' && rest !== '') {
    const { SqliteMaintenance } = await import('./sqlite/maintenance.js')
    return new SqliteMaintenance(rest.replace(/^\/\/(?=\/)/, ''))
  }
  if (scheme === 'postgres' || scheme === 'postgresql') {
    const { PostgresMaintenance } = await import('./postgres/maintenance.js')
    return new PostgresMaintenance(url)
  }
  if (scheme === undefined) throw new InvalidOption('openLedger.url', 'a URL', url)
  return undefined
}
