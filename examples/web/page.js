// A page that lets people submit, watch and cancel jobs at a gateway with logins (docs/gateway.md). It has no secret of
// its own: a session is a cookie that no script can read, or, from another origin, a bearer in this page's memory.
'use strict'

const gateway = document.querySelector('meta[name=gateway]').content.replace(/\/$/, '')
const WATCH_SECONDS = 2
const OVER = ['COMPLETED', 'FAILED', 'CANCELLED', 'TIMEOUT', 'OUT_OF_MEMORY', 'NODE_FAIL', 'BOOT_FAIL', 'DEADLINE']
const session = { user: '', csrf: '', bearer: '' }
let api = ''
let watching = 0
let looks = 0 // how many were begun: an answer that a later one has overtaken is not shown
let missed = '' // what the last look at the jobs failed by
let identity = 'pam' // how people log in here, as the gateway says

const at = (id) => document.getElementById(id)
const say = (words) => { at('said').textContent = words }

// Answers are no-store already. With one of fetch's cache modes browsers would send Cache-Control: no-cache, and each look
// would go past what the gateway keeps; that is asked for after a change alone, with fresh.
async function ask (path, { method = 'GET', data, fresh = false } = {}) {
  const headers = {}
  if (session.bearer) headers.Authorization = `Bearer ${session.bearer}`
  else if (method !== 'GET' && session.csrf) headers['X-CSRF-Token'] = session.csrf
  if (data !== undefined) headers['Content-Type'] = 'application/json'
  if (fresh) headers['Cache-Control'] = 'no-cache'
  const body = data === undefined ? undefined : JSON.stringify(data)
  const credentials = gateway ? 'omit' : 'same-origin'
  const answer = await fetch(gateway + path, { method, headers, body, credentials })
  const found = await answer.json().catch(() => ({}))
  const errors = (found.errors || []).map((one) => one.description || one.error).join('; ')
  if (!answer.ok || errors) {
    const words = errors || `The gateway answers ${answer.status}.`
    throw Object.assign(new Error(words), { status: answer.status, identity: found.identity })
  }
  return found
}

function show (known) {
  for (const id of ['who', 'submit', 'jobs']) at(id).hidden = !known
  at('provider').hidden = known || identity !== 'oidc'
  at('login').hidden = known || identity !== 'pam'
  at('user').textContent = session.user
}

async function newestVersion () {
  const found = Object.keys((await ask('/openapi/v3')).paths).map((path) => /^\/slurm\/(v[\d.]+)\//.exec(path)?.[1])
  const number = (version) => Number(version.split('.')[2])
  return found.filter(Boolean).sort((one, other) => number(other) - number(one))[0]
}

async function enter (found) {
  Object.assign(session, { user: found.user, csrf: found.csrf || '', bearer: found.bearer || '' })
  api = await newestVersion()
  show(true)
  await watch()
}

async function logIn (event) {
  event.preventDefault()
  const data = { user: at('name').value, password: at('password').value, bearer: Boolean(gateway) }
  at('password').value = ''
  at('enter').disabled = true // a refusal takes some seconds, and would end what was begun meanwhile
  try {
    await enter(await ask('/auth/login', { method: 'POST', data }))
    say('')
  } finally {
    at('enter').disabled = false
  }
}

async function logOut () {
  await ask('/auth/logout', { method: 'POST' })
  clearTimeout(watching)
  looks += 1
  Object.assign(session, { user: '', csrf: '', bearer: '' })
  at('rows').replaceChildren()
  show(false)
  at('name').focus()
}

async function submit (event) {
  event.preventDefault()
  const old = Number(api.split('.')[2]) < 39
  const script = at('script').value.replace(/\r\n/g, '\n')
  const job = { name: at('job-name').value, current_working_directory: at('directory').value }
  job.environment = old ? { PATH: '/bin:/usr/bin' } : ['PATH=/bin:/usr/bin']
  const data = old ? { job, script } : { job: { ...job, script } }
  const done = await ask(`/slurm/${api}/job/submit`, { method: 'POST', data })
  say(`Job ${done.job_id} is submitted.`)
  await watch(true)
}

const plain = (value) => (value && typeof value === 'object' ? value.number : value)
const stateOf = (job) => [].concat(job.job_state).join(' ')

// Newer releases say the pattern that was asked for, and beside it what became of that.
function outputOf (job) {
  const path = job.stdout_expanded || job.standard_output || ''
  return path === '' || path.startsWith('/') ? path : `${job.current_working_directory}/${path}`
}

function row (job) {
  const line = document.createElement('tr')
  const code = job.exit_code && typeof job.exit_code === 'object' ? plain(job.exit_code.return_code) : job.exit_code
  const over = OVER.some((state) => stateOf(job).includes(state))
  for (const text of [job.job_id, job.name, stateOf(job), over ? code : '', outputOf(job)]) {
    line.append(Object.assign(document.createElement('td'), { textContent: text ?? '' }))
  }
  const cell = document.createElement('td')
  if (!over) {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: `Cancel ${job.job_id}` })
    button.addEventListener('click', guarded(() => cancel(job.job_id)))
    cell.append(button)
  }
  line.append(cell)
  return line
}

async function cancel (id) {
  await ask(`/slurm/${api}/job/${id}`, { method: 'DELETE' })
  say(`Job ${id} is cancelled.`)
  await watch(true)
}

function watchLater () {
  clearTimeout(watching)
  watching = setTimeout(guarded(watch), WATCH_SECONDS * 1000)
}

async function watch (fresh = false) {
  clearTimeout(watching)
  const look = ++looks
  let found
  try {
    found = await ask(`/slurm/${api}/jobs`, { fresh })
  } catch (error) {
    if (look !== looks) return
    missed = error.message
    throw error
  }
  if (look !== looks) return
  if (missed && at('said').textContent === missed) say('')
  missed = ''
  const own = found.jobs.filter((job) => job.user_name === session.user).sort((one, other) => other.job_id - one.job_id)
  const focused = document.activeElement?.textContent
  at('rows').replaceChildren(...own.map(row))
  for (const button of at('rows').querySelectorAll('button')) if (button.textContent === focused) button.focus()
  watchLater()
}

// What goes wrong is said; whoever is no longer logged in is asked to log in. A network that was away for a moment, or
// too many requests, do not end the watching.
function guarded (action) {
  return async (event) => {
    try {
      await action(event instanceof Event ? event : undefined)
    } catch (error) {
      identity = error.identity || identity
      say(error.message)
      if (error.status === 401) show(false)
      else if (!at('jobs').hidden) watchLater()
    }
  }
}

at('login').addEventListener('submit', guarded(logIn))
at('logout').addEventListener('click', guarded(logOut))
at('submit').addEventListener('submit', guarded(submit))
guarded(async () => {
  show(false)
  if (!gateway) await enter(await ask('/auth/session'))
})()
