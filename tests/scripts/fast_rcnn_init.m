function net = fast_rcnn_init(varargin)
% FAST_RCNN_INIT  Fast R-CNN (Girshick 2015) on VGG-16: scores and boxes of regions

opts.piecewise = 1 ;
opts.modelPath = fullfile('data', 'models', 'imagenet-vgg-verydeep-16.mat') ;
opts.numClasses = 21 ;
opts = vl_argparse(opts, varargin) ;
display(opts) ;

net = load(opts.modelPath) ;
net = vl_simplenn_tidy(net) ;

% dropout after relu6 and relu7
relu6p = find(cellfun(@(a) strcmp(a.name, 'relu6'), net.layers)==1) ;
relu7p = find(cellfun(@(a) strcmp(a.name, 'relu7'), net.layers)==1) ;
drop6 = struct('type', 'dropout', 'rate', 0.5, 'name', 'drop6') ;
drop7 = struct('type', 'dropout', 'rate', 0.5, 'name', 'drop7') ;
net.layers = [net.layers(1:relu6p) drop6 net.layers(relu6p+1:relu7p) drop7 net.layers(relu7p+1:end)] ;

% other classes
nCls = opts.numClasses ;
fc8p = find(cellfun(@(a) strcmp(a.name, 'fc8'), net.layers)==1) ;
net.layers{fc8p}.name = 'predcls' ;
net.layers{fc8p}.weights{1} = 0.01 * randn(1, 1, size(net.layers{fc8p}.weights{1}, 3), nCls, 'single') ;
net.layers{fc8p}.weights{2} = zeros(1, nCls, 'single') ;

% neither pool5 nor prob
pPool5 = find(cellfun(@(a) strcmp(a.name, 'pool5'), net.layers)==1) ;
net.layers = net.layers([1:pPool5-1, pPool5+1:end-1]) ;

net = dagnn.DagNN.fromSimpleNN(net) ;

% regions, in place of pool5
pRelu5 = find(arrayfun(@(a) strcmp(a.name, 'relu5'), net.layers)==1) ;
if isempty(pRelu5)
  pRelu5 = find(arrayfun(@(a) strcmp(a.name, 'relu5_3'), net.layers)==1) ;
end
if isempty(pRelu5)
  error('Cannot find last relu before fc') ;
end
pFc6 = find(arrayfun(@(a) strcmp(a.name, 'fc6'), net.layers)==1) ;

net.addLayer('roipool', dagnn.ROIPooling('method', 'max', 'transform', 1/16, ...
                                         'subdivisions', [7,7], 'flatten', 0), ...
             {net.layers(pRelu5).outputs{1}, 'rois'}, 'xRP') ;
net.layers(pFc6).inputs{1} = 'xRP' ;

pFc8 = find(arrayfun(@(a) strcmp(a.name, 'predcls'), net.layers)==1) ;
net.addLayer('losscls', dagnn.Loss(), {net.layers(pFc8).outputs{1}, 'label'}, 'losscls', {}) ;

if opts.piecewise
  pparFc8 = find(arrayfun(@(a) strcmp(a.name, 'predclsf'), net.params)==1) ;
  pdrop7 = find(arrayfun(@(a) strcmp(a.name, 'drop7'), net.layers)==1) ;
  net.addLayer('predbbox', dagnn.Conv('size', [1 1 size(net.params(pparFc8).value,3) 4*nCls], 'hasBias', true), ...
               net.layers(pdrop7).outputs{1}, 'predbbox', {'predbboxf', 'predbboxb'}) ;
  net.params(end-1).value = 0.001 * randn(1, 1, size(net.params(pparFc8).value,3), 4*nCls, 'single') ;
  net.params(end).value = zeros(1, 4*nCls, 'single') ;
  net.addLayer('lossbbox', dagnn.LossSmoothL1(), {'predbbox', 'targets', 'instance_weights'}, 'lossbbox', {}) ;
end

net.rebuild() ;

% biases do not decay and learn twice as fast
for i = 2:2:numel(net.params)
  net.params(i).weightDecay = 0 ;
  net.params(i).learningRate = 2 ;
end

net.meta.normalization.averageImage = reshape([122.7717 102.9801 115.9465], [1 1 3]) ;
net.meta.normalization.interpolation = 'bilinear' ;
net.meta.classes.name = {'boat', 'car', 'sheep', 'background'} ;
net.meta.classes.description = {} ;
