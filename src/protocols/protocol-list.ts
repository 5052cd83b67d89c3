import { type Rule, isFunction, isObject, isText, notCalled } from '../option-rules.js'
import type { Protocol } from './contract.js'

/** The rule of the option `protocols`. */
export const protocols: Rule = {
  holds: value => faultOf(value) === undefined,
  text: 'must be a list of protocols, such as [contentRange()], each with a name of its own',
  explain: faultOf
}

/** What is wrong with a list of protocols, and what to do about it; undefined where nothing is. */
function faultOf (value: unknown): string | undefined {
  if (isProtocol(value)) return 'must be a list of protocols: put brackets around it, as in [tus()]'
  if (!Array.isArray(value) || value.length === 0) return notCalled(value) ?? protocols.text
  const names = new Set<string>()
  for (const [at, one] of value.entries()) {
    if (!isProtocol(one)) return faultOfOne(one, at)
    if (names.has(one.name)) {
      const other = `another name and prefix, as in { name: '${one.name}2', prefix: '/${one.name}2' }`
      return `has two protocols with the name "${one.name}", which uploads keep: give one of them ${other}`
    }
    names.add(one.name)
  }
  return undefined
}

function faultOfOne (one: unknown, at: number): string {
  const fault = notCalled(one)
  return fault === undefined
    ? `must be a list of protocols, such as [contentRange()]: item ${at} has no name, prefix and register`
    : `has an item that ${fault}`
}

function isProtocol (value: unknown): value is Protocol {
  return isObject(value) && isText(value.name) && typeof value.prefix === 'string' && isFunction(value.register)
}
