"""Stop words of each language: articles, pronouns, prepositions, forms of "to be".

The lists are short, of words that occur in almost every sentence, because they also serve to detect the language.
"""

from __future__ import annotations

from functools import cache

from echo_index.indexer.text.letters import fold_text

STOP_WORDS = {
    "english": (
        "a an and any are as at be been but by can could did do does for from had has have he her his how if in into "
        "is it its may not of on one or our she should so some such than that the their them then there these they "
        "this those to us was we were what when where which who will with would you your"
    ),
    "arabic": (
        "في من على إلى عن مع هذا هذه ذلك تلك التي الذي الذين هو هي هم هل ما ماذا لماذا متى أين كيف كان كانت يكون تكون "
        "قد لا لم لن أن إن أو ثم كل بعد قبل بين حتى عند كما لكن أي و"
    ),
    "catalan": (
        "a al als amb aquest aquesta com de del dels el els ella en era és estan està ha han hi i jo la les li lo més "
        "molt no o on per però perquè què quan qui quin quina se ser seva seu són també té un una uns"
    ),
    "czech": (
        "a aby ale ani až bude budou by byl byla bylo být co či do i já jak jako je jeho její jejich jen ještě již "
        "jsem jsou k kde kdo kdy který která které ke mezi na nebo není o od po pod podle pro proč před při s se si "
        "ta tak také tento to tom u už v ve z za ze že"
    ),
    "danish": (
        "af alle at blev bliver da de den denne der deres det dette dig din disse du efter eller en er et for fra "
        "ham han hans har havde hende hos hun hvad hvem hvilken hvilke hvis hvor hvordan hvorfor hvornår i ikke jeg "
        "kan kunne man med men mig min må når og også om op over på sig sin skal som til ud under var ved vi vil være"
    ),
    "dutch": (
        "aan als bij dan dat de deze die dit door een en er had heb heeft hem het hij hoe hun ik in is ja je kan "
        "kunnen maar me met mijn moet na naar niet nog nu of om onder ons ook op over te tegen tot u uit van veel voor "
        "waar waarom wanneer want waren was wat we welke werd wie wij worden wordt zal ze zich zij zijn zo zonder zou"
    ),
    "finnish": (
        "ei eivät ett että hän he ja joka jotka jos jossa kanssa kuin kuinka kuka kun koska minä miksi mikä milloin "
        "missä miten mitä mutta myös nämä ne niin niitä nyt oli olivat olla on ovat se sen siitä siinä sitä tai te "
        "tämä tämän vain voi voidaan vuoksi"
    ),
    "french": (
        "à au aux avec c ce ces cette comme comment d dans de des dont du elle elles en est et été être eu il ils j je "
        "l la le les leur leurs lui m mais me même n ne nos notre nous on ont ou où par pas peut plus pour pourquoi qu "
        "quand que quel quelle quelles quels qui quoi s sa sans se ses si son sont sous sur t te tu un une vos votre "
        "vous y était"
    ),
    "german": (
        "aber als also am an auch auf aus bei bin bis da das dass daß dem den denn der des die dies diese diesem "
        "diesen dieser dieses doch du durch ein eine einem einen einer eines er es für gegen hat hatte haben ich ihr "
        "ihre im in ins ist kann können man mit nach nicht noch nur ob oder ohne sein seine sich sie sind so über um "
        "und uns unter vom von vor war wann waren warum was welche welchem welchen welcher welches wenn wer werden "
        "wie wir wird wo wurde wurden zu zum zur"
    ),
    "greek": (
        "από αυτή αυτό αυτός για δεν είναι ένα ένας η ήταν θα και κάθε με μια μου να ο οι όπως όταν ότι που πού ποια "
        "ποιο ποιος πότε πώς πως σας σε στα στη στην στο στον στους τα τη την της τι τις το τον του τους των ως"
    ),
    "hindi": (
        "और का की के को में से है हैं था थी थे पर यह वह ये वे एक इस उस कि जो ने हो नहीं भी कर करने किया कैसे क्या क्यों "
        "कब कहाँ कौन तक साथ लिए या तो ही"
    ),
    "hungarian": (
        "a az és egy ez azt ezt hogy nem is van volt vannak meg mert csak de ha már még mi mit mint vagy aki ami amely "
        "hol hogyan mikor miért milyen melyik után előtt között minden lehet el fel ki le be ő ők itt ott"
    ),
    "indonesian": (
        "ada adalah akan apa apakah atau bagaimana bahwa bisa dalam dan dapat dari dengan di dia ini itu juga kami "
        "kapan kata ke kepada kita karena lebih mana mengapa mereka oleh pada para saat saya sebagai secara siapa "
        "sudah telah tetapi tidak untuk yang"
    ),
    "italian": (
        "a ad agli ai al alla alle anche c che chi ci come con cosa cui d da dal dalla dei del della delle di dove e è "
        "ed era gli ha hanno i il in io l la le lei lo loro lui ma nel nella noi non o per perché più quale quali "
        "quando quanto quello questa questi questo se si sia sono su sua sul sulla suo tra tu un una uno vi"
    ),
    "norwegian": (
        "alle at av ble blir da de den denne der deres det dette disse du eller en er et etter for fra ham han hans "
        "har hadde hun hva hvem hvilken hvilke hvis hvor hvordan hvorfor i ikke jeg kan kunne man med meg men min må "
        "når nå og også om opp over på seg sin skal som til under ut var ved vi vil være"
    ),
    "polish": (
        "a aby ale być był była było bo by co czy czyli dla do gdy gdzie go i ich ile jak jako je jego jej jest jeśli "
        "już kiedy kto która które który lub ma może można na nad nie o od oraz po pod przez przy się są ta tak także "
        "tego ten to tych tylko tym u w we więc z za ze że"
    ),
    "portuguese": (
        "a ao aos as às até com como da das de dela dele do dos e é ela elas ele eles em entre era essa esse esta está "
        "este eu foi há isso isto já lhe mais mas me mesmo muito na não nas nem no nos o onde os ou para pela pelo por "
        "porque porquê qual quais quando que quem são se sem ser seu sua também tem um uma você"
    ),
    "romanian": (
        "a ai al ale am ar are au că cand când care ce cea cel cele cine cu cum da dar de despre din după e ea ei el "
        "era este eu fi fost iar îi în între la le lor lui mai ne nu o pe pentru prin sa să sau se si și sunt un unde "
        "unei unui va"
    ),
    "russian": (
        "а без более бы был была были было быть в вам вас во вот все всё вы где да для до его ее её если есть еще ещё "
        "же за и из или им их к как какая какие какой ко когда который которая которые кто ли между меня мне мы на над "
        "не него нет но о об он она они оно от по под почему при с со так также то только ты у уже чем что чтобы эта "
        "эти это этот я"
    ),
    "spanish": (
        "a al algo ante como cómo con cual cuál cuales cuáles cuando cuándo de del desde donde dónde el él ella ellas "
        "ellos en entre era es esa ese eso esta está están estas este esto estos fue fueron ha hay han hasta la las le "
        "les lo los más me mi muy no nos o para pero por porque que qué quien quién se según ser si sí sin sobre son "
        "su sus también te tiene un una unas uno unos y ya yo"
    ),
    "swedish": (
        "alla att av blev blir da de dem den denna deras dess dessa det detta dig din du där efter eller en ett från "
        "för ha hade han hans har henne hon hur i inte jag kan kunde man med men mig min mot måste ni nu när och också "
        "om oss på sedan sig sin ska skall som till under upp ut vad var varför vem vi vid vilka vilken vilket"
    ),
    "turkish": (
        "ama ancak bir biz bu bunu çok da daha de değil diye en gibi göre hangi hem her ile için ise kadar kim ki mi "
        "mı mu mü nasıl ne neden nerede o olan olarak oldu olduğu onun sonra şu tarafından var ve veya ya yok"
    ),
}
"""Stop words by the name that Snowball uses for the language. English is first, so it wins a tie in detection."""


@cache
def stop_words(language: str) -> frozenset[str]:
    """Return the stop words of a language, in lower case and without accents; none for an unknown language."""
    return frozenset(fold_text(STOP_WORDS.get(language, "")).split())
