/* The page's start: reads the address, asks for what is missing, and shows one of three
 * screens: the form, the call, the farewell. */
import { Call } from './call/call';
import { openDevices } from './call/devices';
import { installHook } from './hook';
import { parseOptions, type Options } from './options';
import { CallView } from './ui/callview';
import { endScreen, joinScreen } from './ui/screens';

const NAME_KEY =
    'kcs-name'; /* in sessionStorage: each tab has its own, a reload keeps it */

let call: Call | undefined;

function show(screen: HTMLElement): void {
    document.getElementById('app')?.replaceChildren(screen); /* beside it: the icons */
}

function showForm(options: Options): void {
    show(joinScreen(options, (complete) => void start(complete)));
}

async function start(options: Options): Promise<void> {
    const view = new CallView();

    sessionStorage.setItem(NAME_KEY, options.name);
    document.title = `${options.meeting} – KCS`;
    show(view.element);
    const devices = await openDevices(options);
    const running = new Call(options, devices, () => redraw(running, view, options));
    call = running;
    view.update(running);
}

function redraw(changed: Call, view: CallView, options: Options): void {
    if (changed !== call) {
        return; /* late news of a call that is over */
    }
    if (changed.state !== 'left' && changed.state !== 'failed') {
        view.update(changed);
        return;
    }
    if (view.element.isConnected) {
        const left = changed.state === 'left';
        const ended = changed.wasIn ? 'The call ended' : 'You could not join';
        view.close();
        show(
            endScreen(
                left ? 'You left the call' : ended,
                left
                    ? 'Nothing is being sent any more; camera and microphone are off.'
                    : changed.reason,
                () => void start(options),
            ),
        );
    }
}

window.addEventListener('pagehide', () => call?.leave());
window.addEventListener('hashchange', () => location.reload()); /* another invitation */
installHook(() => call);

function begin(): void {
    const options = parseOptions(new URL(location.href));

    if (options.name !== '' && options.meeting !== '' && options.token !== '') {
        void start(options);
    } else {
        showForm({
            ...options,
            name: options.name || (sessionStorage.getItem(NAME_KEY) ?? ''),
        });
    }
}

/* Not before the page is loaded: a video element that waits for its first picture would
 * hold up the load event, and the tab would look as if it were loading for ever. */
if (document.readyState === 'complete') {
    begin();
} else {
    window.addEventListener('load', begin);
}
