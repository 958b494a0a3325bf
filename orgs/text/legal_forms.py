"""Legal forms of companies in many languages, such as "Ltd" and "GmbH". Name keys leave them out.

Sources: the entity legal forms of ISO 20275 in their usual abbreviations, and the names in the sample directory.
"""

from __future__ import annotations

# Single words as orgs.text.normalize folds them (lower case, no accents, dots closed up: "S.p.A." is "spa").
WORDS = frozenset(
    """
    inc incorporated corp corporation co company cos ltd limited ltda limitada llc llp lllp lp plc pllc pc pty pvt
    private public gmbh ggmbh mbh ag kg kgaa ohg ohg gbr ev eg ek ug se eingetragener verein stiftung
    sa sas sasu sarl eurl snc sca sci scop scrl sprl asbl aisbl cvba cv bv bvba nv vof vzw ivzw stichting
    spa srl srls sapa onlus sl slu slp sll sau sad scp sccl sapi sab sacv eirl eireli epp ltee
    ab hb kb aktiebolag as asa ans da ba aps ivs amba is ks oy oyj ky ry rf tmi osakeyhtio hf ehf sf ses
    sro vos zs zu ops vvi po as ops druzstvo spolok doo dd jdoo ad ead eood ood et kd dno spzoo sp spk
    kft rt zrt nyrt bt kkt nonprofit nkft kht uab mb vsi sia as ou mtu tov pat prat vat zat
    ooo oao zao pao ao ano nko fgbu fgup fgbou gbou mup too aoozt oaozt
    kk gk yk kabushiki kaisha godo yugen pt tbk bhd sdn jsc pjsc cjsc ojsc joint stock
    ae epe eve ike abee ltdsti anonim sirketi sti limitedsirketi
    wll bsc fzc fzco fze fzllc dmcc
    """.split()
)

# Phrases that are legal forms at the end of a name.
PHRASES = (
    "sp z o o",
    "sp zoo",
    "spolka z ograniczona odpowiedzialnoscia",
    "spolka akcyjna",
    "s r o",
    "v v i",
    "verejna vyzkumna instituce",
    "akciova spolecnost",
    "spolecnost s rucenim omezenym",
    "d o o",
    "a s",
    "s a",
    "a g",
    "s p a",
    "s r l",
    "s l",
    "b v",
    "n v",
    "e v",
    "gesellschaft mit beschrankter haftung",
    "aktiengesellschaft",
    "gmbh and co kg",
    "gmbh co kg",
    "societe anonyme",
    "societe par actions simplifiee",
    "societe a responsabilite limitee",
    "sociedad anonima",
    "sociedad limitada",
    "sociedade anonima",
    "societa per azioni",
    "societa a responsabilita limitata",
    "besloten vennootschap",
    "naamloze vennootschap",
    "anonim sirketi",
    "limited sirketi",
    "ltd sti",
    "de c v",
    "de cv",
    "s a de c v",
    "public limited company",
    "joint stock company",
    "limited liability company",
    "ob shchestvo s ogranichennoi otvetstvennost iu",
    "aktsionernoe obshchestvo",
)

# Chinese, Japanese and Korean forms, written without spaces. Removed at any place in a name; longer ones first.
CJK = (
    "国立研究開発法人",
    "地方独立行政法人",
    "特定非営利活動法人",
    "国立大学法人",
    "公立大学法人",
    "独立行政法人",
    "社会福祉法人",
    "社会医療法人",
    "一般財団法人",
    "公益財団法人",
    "一般社団法人",
    "公益社団法人",
    "特定医療法人",
    "医療法人社団",
    "医療法人財団",
    "医療法人",
    "学校法人",
    "宗教法人",
    "財団法人",
    "社団法人",
    "大学共同利用機関法人",
    "npo法人",
    "株式会社",
    "有限会社",
    "合同会社",
    "合資会社",
    "合名会社",
    "相互会社",
    "股份有限公司",
    "集团有限公司",
    "集團有限公司",
    "有限责任公司",
    "有限責任公司",
    "有限公司",
    "公司",
    "財團法人",
    "社團法人",
    "财团法人",
    "(株)",
    "(有)",
    "(財)",
    "(社)",
    "주식회사",
    "유한회사",
    "(주)",
    "(유)",
    "(재)",
    "(사)",
    "재단법인",
    "사단법인",
    "학교법인",
    "의료법인",
    "사회복지법인",
)

# Whole words in other scripts.
NATIVE_WORDS = frozenset(
    """
    ооо оао зао пао ао ано тов пат прат тоо еоод оод еад ад дд доо фгбу фгуп фгбоу гбоу мбоу ип
    ае αε επε εβε οε εε ικε αβεε
    บริษัท จำกัด มหาชน
    בעמ ערב
    """.split()
)
