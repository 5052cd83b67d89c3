import { setImmediate as turnOfLoop } from 'node:timers/promises'
import t from 'tap'
import { type PasswordAsker, PasswordTurns } from '../../../src/storage/encrypted/password-checks.js'
import { codeOf, gate } from '../../support/engine.js'

/** A queue whose two places are taken until `end`, and which then does one check at a time. */
async function busy (): Promise<{ readonly turns: PasswordTurns, readonly end: () => Promise<void> }> {
  const turns = new PasswordTurns()
  const [one, other] = [gate(), gate()]
  const running = [one, other].map(({ passed }) => turns.take(undefined, () => passed))
  return {
    turns,
    end: async () => {
      one.open()
      await running[0]
      other.open()
    }
  }
}

function asker (user: string | null, address = '192.0.2.1', signal?: AbortSignal): PasswordAsker {
  return { user, address, signal }
}

t.test('users take turns, and so do addresses', async t => {
  const { turns, end } = await busy()
  const done: string[] = []
  const ask = (name: string, of: PasswordAsker | undefined): Promise<void> => turns.take(of, async () => {
    await turnOfLoop()
    done.push(name)
  })
  const asked = [
    ...Array.from({ length: 20 }, (_, number) => ask(`mal ${number}`, asker('mal', `198.51.100.${number}`))),
    ...Array.from({ length: 20 }, (_, number) => ask(`many ${number}`, asker(`user ${number}`, '203.0.113.1'))),
    ...Array.from({ length: 20 }, (_, number) => ask(`near ${number}`, asker('near'))),
    ask('ann', asker('ann')), ask('bob', asker('bob')), ask('anonymous', asker(null, '192.0.2.2')), ask('host', undefined)
  ]
  await end()
  await Promise.all(asked)
  t.equal(done.length, asked.length)
  for (const name of ['ann', 'bob', 'anonymous', 'host']) t.ok(done.indexOf(name) < 16, `${name} is number ${done.indexOf(name)}`)
  for (const name of ['mal', 'many', 'near']) {
    t.strictSame(done.filter(one => one.startsWith(name)), Array.from({ length: 20 }, (_, number) => `${name} ${number}`))
  }
})

t.test('only so many wait: of a user, of an address, and of all', async t => {
  const { turns, end } = await busy()
  const waits: Array<Promise<string>> = []
  const ask = (of: PasswordAsker, count: number): void => {
    for (let number = 0; number < count; number++) waits.push(codeOf(turns.take(of, async () => {})))
  }
  const refused = async (of: PasswordAsker): Promise<boolean> => await Promise.race([
    codeOf(turns.take(of, async () => {})), turnOfLoop('waits')
  ]) === 'TOO_MANY_PASSWORDS'
  ask(asker('mal'), 32)
  t.ok(await refused(asker('mal')))
  t.ok(await refused(asker('mal', '198.51.100.1')), 'from everywhere')
  ask(asker(null), 31)
  t.notOk(await refused(asker('ann')))
  t.ok(await refused(asker('bob')), 'an address')
  t.ok(await refused(asker('bob', '::ffff:192.0.2.1')), 'however it is written')
  ask(asker(null, '2001:db8:0:1::1'), 16)
  ask(asker(null, '2001:db8::1:0:0:0:2'), 16)
  t.ok(await refused(asker(null, '2001:DB8:0:1:ffff::'.toLowerCase())), 'a network of IPv6')
  t.notOk(await refused(asker(null, '2001:db8:0:2::1')))
  for (let number = 0; number < 256 - 64 - 32 - 1; number++) ask(asker(null, `203.0.113.${number}`), 1)
  t.ok(await refused(asker('carl', '192.0.2.77')), 'all')
  await end()
  t.strictSame(new Set(await Promise.all(waits)), new Set(['ok']))
  t.equal(await codeOf(turns.take(asker('mal'), async () => {})), 'ok')
})

t.test('who has left has no turn', async t => {
  const { turns, end } = await busy()
  const left = new AbortController()
  let checks = 0
  const ask = async (signal: AbortSignal): Promise<string> => {
    return await codeOf(turns.take(asker('ann', '192.0.2.1', signal), async () => { checks++ }))
  }
  const waiting = Array.from({ length: 32 }, () => ask(left.signal))
  left.abort()
  t.strictSame(new Set(await Promise.all(waiting)), new Set(['CLIENT_GONE']))
  const next = ask(new AbortController().signal)
  t.equal(await ask(left.signal), 'CLIENT_GONE')
  await end()
  t.equal(await next, 'ok', 'the places of those are free')
  t.equal(checks, 1)
})

t.test('a check that fails gives its place back', async t => {
  const turns = new PasswordTurns()
  for (let number = 0; number < 5; number++) {
    t.equal(await codeOf(turns.take(asker('ann'), () => Promise.reject(Object.assign(new Error('wrong'), { code: 'WRONG' })))), 'WRONG')
  }
})
