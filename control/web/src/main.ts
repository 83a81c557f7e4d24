/* The page's start: reads the address, asks for what is missing, and shows a screen: the form
 * with a preview, the call, the waiting room, the farewell; where the address names no meeting,
 * one's own meetings, or the form to sign in. */
import { account, onAccountChange } from './account';
import { KcsClient, openDevices, type Opened } from './client';
import { installHook } from './hook';
import { enterMeeting, freshToken, isLink, nameOf } from './meetings';
import { parseOptions, type Options } from './options';
import { CallView } from './ui/callview';
import { installKeys } from './ui/keys';
import { MeetingsScreen } from './ui/mine';
import { joinScreen, type Chosen } from './ui/prejoin';
import { endScreen, waitingScreen } from './ui/screens';
import { signInScreen } from './ui/signin';
import { inWords, words } from './words';

const NAME_KEY =
    'kcs-name'; /* in sessionStorage: each tab has its own, a reload keeps it */

let client: KcsClient | undefined;
let atHome: Options | undefined; /* while no meeting is shown */
let waitsFor: string | undefined; /* what the waiting room that is shown says */

function show(screen: HTMLElement): void {
    document.getElementById('app')?.replaceChildren(screen); /* beside it: the icons */
}

/* One's own meetings; lead: why one has to sign in before. */
function showHome(options: Options, lead = words.signIn.lead): void {
    atHome = options;
    document.title = words.brand;
    show(
        account() === undefined
            ? signInScreen(
                  lead,
                  options.tenant,
                  () => showHome(options),
                  () => showForm(options),
              )
            : new MeetingsScreen({
                  enter: (address) => {
                      history.pushState(null, '', address);
                      begin();
                  },
                  invitation: () => showForm(options),
                  signedOut: (unasked) =>
                      showHome(options, unasked ? words.signIn.again : words.signIn.lead),
              }).element,
    );
}

/* Where the form to sign in or one's meetings are. */
function goHome(): void {
    const home = new URL(location.href);

    for (const mine of ['meeting', 'name', 'token']) {
        home.searchParams.delete(mine);
    }
    home.hash = '';
    location.assign(home);
}

function showForm(options: Options): void {
    atHome = undefined;
    const form = joinScreen(options, (complete, chosen) => void start(complete, chosen));
    const title = form.querySelector('h1');

    show(form);
    void nameOf(options).then((name) => {
        if (title !== null && name !== undefined) {
            title.textContent = words.join.title(name);
        }
    });
}

/* Once: who reloads the page is still the same. */
async function startByLink(options: Options, chosen?: Chosen): Promise<void> {
    try {
        const token = await freshToken(options, options.token);

        history.replaceState(null, '', `#token=${token}`);
        return start({ ...options, token }, chosen);
    } catch (error) {
        const { code = 'unreachable', message } = error as { code?: string; message: string };

        chosen?.devices.audio?.stop();
        chosen?.devices.video?.stop();
        show(
            endScreen(
                words.ended.refused,
                inWords({ code: `refused:${code}`, detail: message }),
                () => void start(options),
                homeIfSignedIn(),
            ),
        );
    }
}

function homeIfSignedIn(): (() => void) | undefined {
    return account() === undefined ? undefined : goHome;
}

/* chosen: what the form has opened; else it is opened here. */
async function start(options: Options, chosen?: Chosen): Promise<void> {
    sessionStorage.setItem(NAME_KEY, options.name);
    if (isLink(options.token)) {
        return startByLink(options, chosen);
    }
    const view = new CallView(chosen?.speaker);

    document.title = words.titleOf(options.meeting);
    show(view.element);
    const devices: Opened =
        chosen?.devices ?? (await openDevices(options, { height: options.height }));
    const running = new KcsClient(
        {
            url: location.origin,
            token: options.token,
            meeting: options.meeting,
            name: options.name,
            codec: options.codec,
            layers: options.layers,
            freshToken: (token) => freshToken(options, token),
        },
        { audio: devices.audio, video: devices.video },
        {
            height: options.height,
            microphone: chosen?.microphone,
            camera: chosen?.camera,
        },
    );
    for (const problem of devices.problems) {
        running.room.value.notices.push({
            code: problem.code,
            detail: problem.message,
            source: problem.thing === 'camera' ? 'camera' : 'mic',
        });
    }
    client = running;
    waitsFor = undefined;
    void nameOf(options).then((name = options.meeting) => {
        document.title = words.titleOf(name);
        if (running.room.value.role === '') { /* else the room has said it */
            running.room.value.title = name;
            running.room.changed();
        }
    });
    running.room.subscribe(() => redraw(running, view, options));
    view.attach(running);
    running.join();
}

function redraw(changed: KcsClient, view: CallView, options: Options): void {
    const room = changed.room.value;

    if (changed !== client) {
        return; /* late news of a call that is over */
    }
    if (room.status === 'waiting') {
        if (waitsFor !== room.title) {
            waitsFor = room.title;
            show(waitingScreen(room.title, () => changed.leave()));
        }
        return;
    }
    waitsFor = undefined;
    if (room.status !== 'left' && room.status !== 'failed') {
        if (!view.element.isConnected) {
            show(view.element);
        }
        view.update(changed);
        return;
    }
    view.close();
    const left = room.status === 'left';
    show(
        endScreen(
            left
                ? words.ended.left
                : room.role !== ''
                  ? words.ended.ended
                  : words.ended.refused,
            left || room.reason === undefined ? words.ended.leftLead : inWords(room.reason),
            () => void start(options),
            homeIfSignedIn(),
        ),
    );
}

/* else the others would see us for as long as the node waits for our return */
window.addEventListener('pagehide', () => client?.leave());
window.addEventListener('online', () => client?.networkChanged());
for (const event of ['hashchange', 'popstate']) { /* another invitation; back to the list */
    window.addEventListener(event, () => location.reload());
}
installHook(() => client);
installKeys(() => client);

onAccountChange(() => atHome !== undefined && showHome(atHome));

/* An address without a token: who has signed in needs none. */
async function enterByName(options: Options): Promise<void> {
    try {
        history.replaceState(null, '', await enterMeeting(options.meeting, false));
        begin();
    } catch {
        showForm(options);
    }
}

function begin(): void {
    const options = parseOptions(new URL(location.href));
    const { name, meeting, token } = options;

    if (name !== '' && meeting !== '' && token !== '') {
        void start(options);
    } else if (meeting === '' && token === '') {
        showHome(options);
    } else if (token === '' && account() !== undefined) {
        void enterByName(options);
    } else {
        const known = sessionStorage.getItem(NAME_KEY) ?? account()?.name ?? '';

        showForm({ ...options, name: name || known });
    }
}

/* Not before the page is loaded: a video element that waits for its first picture would
 * hold up the load event, and the tab would look as if it were loading for ever. */
if (document.readyState === 'complete') {
    begin();
} else {
    window.addEventListener('load', begin);
}
