import { InvalidOption } from '../domain/errors.js'
import type { Maintenance } from '../runtime/ports/maintenance.js'
import { URL_FORMS, withoutPassword } from './shared/urls.js'

const LOOK_AFTER_THEMSELVES = ['memory', 'esdb', 'esdb+discover']

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
  if (LOOK_AFTER_THEMSELVES.includes(scheme ?? '')) return undefined
  throw new InvalidOption('openLedger.url', URL_FORMS, withoutPassword(url))
}
