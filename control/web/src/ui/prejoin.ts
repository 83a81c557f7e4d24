/* The screen before the call: who one is, how one looks and sounds, and whether the
 * connection is good enough. */
import { listDevices, openDevice, openDevices, type Opened, type Thing } from '../client';
import { parseInvitation, type Options } from '../options';
import { inWords, words } from '../words';
import { el, face, field, iconButton } from './dom';
import { watchLevel } from './level';
import { checkNetwork } from './network';

/* What the form hands on to the call. */
export interface Chosen {
    devices: Opened;
    microphone: string | undefined;
    camera: string | undefined;
    speaker: string | undefined;
}

type Kind = 'audio' | 'video';

const THING: Record<Kind, Thing> = { audio: 'microphone', video: 'camera' };

/* Devices, preview and meter; the form around it is joinScreen(). */
class Preview {
    readonly element: HTMLElement;
    readonly pickers = el('div', { class: 'pickers' });
    private opened: Opened = { audio: undefined, video: undefined, problems: [] };
    private ready: Promise<void> = Promise.resolve();
    private stopMeter: (() => void) | undefined;
    private taken = false;
    private readonly off: Record<Kind, boolean>;
    private readonly video = el('video', {
        autoplay: true,
        playsinline: true,
        'aria-label': words.join.preview,
    });
    private readonly none = el('p', { class: 'no-picture' }, words.opening);
    private readonly meter = el('meter', {
        min: '0',
        max: '1',
        'aria-label': words.join.level,
        title: words.join.levelLabel,
    });
    private readonly problems = el('div', { class: 'join-problems', 'aria-live': 'polite' });
    private readonly buttons: Record<Kind, HTMLButtonElement>;
    private readonly selects = {
        microphone: el('select', { name: 'microphone' }),
        camera: el('select', { name: 'camera' }),
        speaker: el('select', { name: 'speaker' }),
    };

    constructor(private readonly options: Options) {
        this.off = { audio: !options.audio, video: !options.video };
        this.video.muted = true;
        const button = (kind: Kind): HTMLButtonElement =>
            iconButton('mic', '', () => void this.toggle(kind), 'round');
        this.buttons = { audio: button('audio'), video: button('video') };
        this.element = el(
            'div',
            { class: 'preview' },
            el(
                'div',
                { class: 'preview-box' },
                this.video,
                this.none,
                el('div', { class: 'preview-bar' }, this.buttons.audio, this.buttons.video),
            ),
            el('div', { class: 'meter-row' }, this.meter),
            this.problems,
        );
        for (const name of ['microphone', 'camera', 'speaker'] as const) {
            if (name !== 'speaker' || 'setSinkId' in HTMLMediaElement.prototype) {
                this.pickers.append(field(words.join[name], this.selects[name]));
            }
            this.offer(name, [], words.join.looking);
        }
        this.selects.microphone.addEventListener('change', () => void this.open('audio'));
        this.selects.camera.addEventListener('change', () => void this.open('video'));
        this.ready = this.start();
        this.draw();
    }

    /* Hands over what is open; nothing is touched afterwards. */
    async take(): Promise<Chosen> {
        await this.ready;
        this.taken = true;
        this.stopMeter?.();
        return {
            devices: this.opened,
            microphone: this.selects.microphone.value || undefined,
            camera: this.selects.camera.value || undefined,
            speaker: this.selects.speaker.value || undefined,
        };
    }

    private async start(): Promise<void> {
        this.opened = await openDevices(
            { audio: !this.off.audio, video: !this.off.video },
            { height: this.options.height },
        );
        for (const kind of ['audio', 'video'] as const) {
            this.off[kind] = this.opened[kind] === undefined;
        }
        this.draw();
        await this.list();
    }

    private async list(): Promise<void> {
        const devices = await listDevices();
        const kinds = [
            ['microphone', 'audioinput'],
            ['camera', 'videoinput'],
            ['speaker', 'audiooutput'],
        ] as const;

        for (const [name, kind] of kinds) {
            const found = devices.filter((each) => each.kind === kind && each.deviceId !== '');
            const track = this.opened[name === 'camera' ? 'video' : 'audio'];
            const current = name === 'speaker' ? '' : track?.getSettings().deviceId;
            this.offer(
                name,
                found.map((each, i) =>
                    el(
                        'option',
                        { value: each.deviceId, selected: each.deviceId === current },
                        each.label || words.join.device(words.join[name], i + 1),
                    ),
                ),
                words.join.none,
            );
        }
    }

    /* A picker keeps its place with nothing to pick: what stands below must not move away
     * from under the pointer. */
    private offer(
        name: keyof typeof this.selects,
        found: HTMLOptionElement[],
        otherwise: string,
    ): void {
        const select = this.selects[name];

        select.disabled = found.length === 0;
        select.replaceChildren(
            ...(found.length > 0 ? found : [el('option', { value: '' }, otherwise)]),
        );
    }

    private async toggle(kind: Kind): Promise<void> {
        await this.ready;
        if (this.off[kind]) {
            await this.open(kind);
            return;
        }
        this.opened[kind]?.stop();
        this.opened[kind] = undefined;
        this.off[kind] = true;
        this.draw();
    }

    private async open(kind: Kind): Promise<void> {
        const wanted = {
            height: this.options.height,
            microphone: this.selects.microphone.value || undefined,
            camera: this.selects.camera.value || undefined,
        };
        this.ready = (async () => {
            const before = this.opened[kind];
            this.opened.problems = this.opened.problems.filter(
                (problem) => problem.thing !== THING[kind],
            );
            try {
                this.opened[kind] = await openDevice(THING[kind], wanted);
                before?.stop();
                this.off[kind] = false;
            } catch (error) {
                this.opened.problems.push(error as Opened['problems'][number]);
            }
            this.draw();
        })();
        await this.ready;
        await this.list();
    }

    private draw(): void {
        const { audio, video, problems } = this.opened;

        if (this.taken) {
            return;
        }
        this.video.srcObject = video === undefined ? null : new MediaStream([video]);
        this.none.hidden = video !== undefined;
        this.none.textContent = words.join.cameraOff;
        this.stopMeter?.();
        this.stopMeter = undefined;
        this.meter.value = 0;
        if (audio !== undefined) {
            this.stopMeter = watchLevel(audio, (level) => (this.meter.value = level));
        }
        this.problems.replaceChildren(
            ...problems.map((problem) =>
                el(
                    'p',
                    { class: 'hint warn' },
                    inWords({
                        code: problem.code,
                        detail: problem.message,
                        source: problem.thing === 'camera' ? 'camera' : 'mic',
                    }),
                ),
            ),
        );
        for (const [kind, name, word] of [
            ['audio', 'mic', words.microphone],
            ['video', 'camera', words.camera],
        ] as const) {
            const button = this.buttons[kind];
            const off = this.off[kind];
            button.classList.toggle('off', off);
            button.setAttribute('aria-pressed', String(off));
            face(
                button,
                off ? `${name}-off` : name,
                off ? words.turnOn(word) : words.turnOff(word),
            );
        }
    }
}

/* Asks for what the address did not say; `onJoin` gets the completed options and what was
 * opened. */
export function joinScreen(
    options: Options,
    onJoin: (options: Options, chosen: Chosen) => void,
): HTMLElement {
    const meeting = el('input', {
        name: 'meeting',
        required: true,
        maxlength: '64',
        autocomplete: 'off',
        value: options.meeting,
    });
    const name = el('input', {
        name: 'name',
        required: true,
        maxlength: '64',
        autocomplete: 'name',
        value: options.name,
    });
    const invitation = el('input', {
        name: 'invitation',
        required: true,
        autocomplete: 'off',
        spellcheck: 'false',
    });
    const submit = el('button', { type: 'submit', class: 'primary' }, words.join.button);
    const network = el(
        'p',
        { class: 'hint network', role: 'status' },
        words.network.checking,
    );
    const preview = new Preview(options);
    const form = el('form', { id: 'join-form' });

    if (options.token === '') {
        form.append(field(words.join.invitation, invitation, words.join.invitationHint));
        invitation.addEventListener('input', () => {
            meeting.value = parseInvitation(invitation.value).meeting || meeting.value;
        });
    }
    if (options.meeting === '' || options.token === '') {
        form.append(field(words.join.meeting, meeting));
    }
    form.append(field(words.join.name, name), submit, network);
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        submit.disabled = true;
        void preview.take().then((chosen) =>
            onJoin(
                {
                    ...options,
                    meeting: meeting.value.trim(),
                    name: name.value.trim(),
                    token: options.token || parseInvitation(invitation.value).token,
                },
                chosen,
            ),
        );
    });
    void checkNetwork().then(({ level, text }) => {
        network.textContent = text;
        network.classList.add(level);
    });
    requestAnimationFrame(() =>
        [invitation, meeting, name]
            .find((input) => input.isConnected && input.value === '')
            ?.focus(),
    );
    return el(
        'main',
        { class: 'door' },
        el(
            'section',
            { class: 'card wide' },
            el('h1', {}, words.join.title(options.meeting)),
            el('p', { class: 'lead' }, words.join.lead),
            el('div', { class: 'join' }, preview.element, form, preview.pickers),
        ),
    );
}
